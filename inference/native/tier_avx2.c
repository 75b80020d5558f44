/* AVX2 without VNNI: products of words, half of them saved, but for a row or two products of bytes.
 *
 * Two inputs x and y with weights v and w make x v + y w = (x + w)(y + v) - x y - v w (Winograd
 * 1968): one product in place of two. The sums of x y are the row's alone, those of v w the
 * unit's; `start` holds the latter with a minus, then what rows of ZERO add up to. Words hold x + w, at most 255 + 127, and all sums
 * are exact. Thirty-two inputs cost two additions, a product of pairs and one addition to the sums,
 * which the processor does at once, while it has but two units that multiply.
 */

#include "exact.h"
#include "tiers.h"

#if X86
#define TIER __attribute__((target("avx2,fma")))

/* Keep a sum in its register, and the order of what makes it: left alone GCC needs more registers
 * than there are. */
#define IN_ORDER(sum) __asm__("" : "+x"(sum))

TIER INLINE __m256i load32_avx2(const void *from) { return _mm256_loadu_si256(from); }

/* Sixteen bytes, then zeros. */
TIER INLINE __m256i load16_avx2(const void *from) {
    return _mm256_zextsi128_si256(_mm_loadu_si128(from));
}

/* Blocks of up to so many rows go by signs: to widen weights takes longer than it saves them. One
 * row takes two thirds of the time, two 86 percent, three 104. */
enum { FEW = 2 };

/* Even and odd words of a row are pairs of neighbours: (x0, x2) then (x1, x3) of four bytes. A row
 * ends with the sum of x0 x1 and x2 x3. */
TIER INLINE void write_words_avx2(uint8_t *to, const uint8_t *from, int inputs) {
    __m256i sums = _mm256_setzero_si256();
    __m256i *words = (__m256i *)to;
    for (int k = 0; k < inputs; k += 32, words += 2) {
        const __m256i all = inputs - k < 32 ? load16_avx2(from + k) : load32_avx2(from + k);
        const __m256i bytes = _mm256_permute4x64_epi64(all, 0xd8);
        const __m256i even = _mm256_and_si256(bytes, _mm256_set1_epi16(0xff));
        const __m256i odd = _mm256_srli_epi16(bytes, 8);
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(even, odd));
        _mm256_storeu_si256(words, _mm256_unpacklo_epi32(even, odd));
        _mm256_storeu_si256(words + 1, _mm256_unpackhi_epi32(even, odd));
    }
    int32_t parts[8], sum = 0;
    memcpy(parts, &sums, sizeof parts);
    for (int i = 0; i < 8; i++) sum += parts[i];
    memcpy(words, &sum, sizeof sum);
}

/* The magnitudes of x - ZERO, then x - ZERO. */
TIER INLINE void write_signs_avx2(uint8_t *to, const uint8_t *from, int inputs) {
    for (int k = 0; k < inputs; k += 32) {
        const __m256i x = _mm256_xor_si256(load32_avx2(from + k), _mm256_set1_epi8((char)ZERO));
        _mm256_storeu_si256((void *)(to + k), _mm256_abs_epi8(x));
        _mm256_storeu_si256((void *)(to + inputs + k), x);
    }
}

/* Where a row's second half begins. */
static inline int half_avx2(int fours) { return (int)round_up(4 * fours, 32); }

/* The last block may have few rows. */
TIER static struct rows prepare_avx2(uint8_t *to, struct rows rows, int count, int fours) {
    const int64_t stride = prepared_stride(fours);
    const int few = count % LANES <= FEW ? count / LANES * LANES : count;
    for (int row = 0; row < count; row++) {
        const uint8_t *from = rows.at + row * rows.stride;
        if (row < few) write_words_avx2(to + row * stride, from, 4 * fours);
        else write_signs_avx2(to + row * stride, from, half_avx2(fours));
    }
    return (struct rows){to, stride};
}

TIER INLINE __m256i start_avx2(const struct product *m, int row, int gate, int kind, int lane) {
    const __m256i start = load32_avx2(m->start + (2 * gate + kind) * LANES + lane);
    if (!m->from) return start;
    return _mm256_add_epi32(start, load32_avx2(start_from(m, row, gate) + lane));
}

/* Sums of up to FEW rows of some gates by products of bytes: magnitudes of inputs with weights that
 * take on their signs. Two such products fit in 16 bits: 2 * 128 * 127. */
TIER INLINE void signs_avx2(const struct product *m, const int *which, int gates, int rows) {
    const uint8_t *x = m->rows.at;
    const int64_t stride = m->rows.stride;
    const int inputs = half_avx2(m->fours);
    const __m256i ones = _mm256_set1_epi16(1);
    const int8_t *tiles[4];
    __m256i sums[FEW][4][2];
    for (int g = 0; g < gates; g++) tiles[g] = m->tiles + which[g] * m->pitch;
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < 2 * gates; v++)
            sums[i][v / 2][v % 2] = start_avx2(m, i, which[v / 2], 1, v % 2 * 8);
    for (int k = 0; k < m->fours; k++, x += 4)
        for (int i = 0; i < rows; i++) {
            const uint8_t *four = x + i * stride;
            const __m256i size = _mm256_set1_epi32(four_bytes(four));
            const __m256i sign = _mm256_set1_epi32(four_bytes(four + inputs));
            for (int v = 0; v < 2 * gates; v++) {
                const __m256i w = load32_avx2(tiles[v / 2] + k * 4 * LANES + v % 2 * 32);
                const __m256i pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(w, sign));
                __m256i *sum = &sums[i][v / 2][v % 2];
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
            }
        }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < 2 * gates; v++)
            _mm256_storeu_si256(
                (void *)(m->sums + i * m->sums_stride + which[v / 2] * LANES + v % 2 * 8),
                sums[i][v / 2][v % 2]);
}

/* As many gates at a time as there are registers for their sums. */
TIER static void few_avx2(const struct product *m) {
    int gate = 0;
    if (m->count == 1) switch (m->gates) {
        case 1: signs_avx2(m, m->which, 1, 1); break;
        case 2: signs_avx2(m, m->which, 2, 1); break;
        case 3: signs_avx2(m, m->which, 3, 1); break;
        default: signs_avx2(m, m->which, 4, 1);
    } else {
        for (; gate + 2 <= m->gates; gate += 2) signs_avx2(m, m->which + gate, 2, FEW);
        if (gate < m->gates) signs_avx2(m, m->which + gate, 1, FEW);
    }
}

/* The weights of four inputs of sixteen units, as words. */
struct words_avx2 {
    __m256i even[2], odd[2];
};

TIER INLINE struct words_avx2 widen_avx2(const int8_t *tile, int halves) {
    struct words_avx2 w = {0};
    for (int half = 0; half < halves; half++) {
        const __m256i bytes = load32_avx2(tile + 32 * half);
        w.even[half] = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
        w.odd[half] = _mm256_srai_epi16(bytes, 8);
    }
    return w;
}

/* Add the products of two pairs of inputs with their weights to eight sums. */
TIER INLINE __m256i add_avx2(__m256i sums, __m256i x_even, __m256i x_odd, __m256i even,
                             __m256i odd) {
    const __m256i left = _mm256_add_epi16(x_even, odd), right = _mm256_add_epi16(x_odd, even);
    return _mm256_add_epi32(sums, _mm256_madd_epi16(left, right));
}

/* Where a kernel finds the words of its tiles. */
enum words { WIDEN, WIDEN_AND_STORE, STORED };

#define OPEN(i)                                                                          \
    __m256i left##i = {0}, right##i = {0};                                               \
    if (rows > i) {                                                                      \
        const __m256i own = _mm256_set1_epi32(four_bytes(x + i * stride + 2 * inputs));    \
        left##i = _mm256_sub_epi32(start_avx2(m, row + i, gate, 0, 0), own);               \
        if (halves > 1)                                                                    \
            right##i = _mm256_sub_epi32(start_avx2(m, row + i, gate, 0, 8), own);          \
    }
#define ADD(i)                                                                      \
    if (rows > i) {                                                                 \
        const __m256i even = _mm256_set1_epi32(four_bytes(x + i * stride));         \
        const __m256i odd = _mm256_set1_epi32(four_bytes(x + i * stride + 4));      \
        left##i = add_avx2(left##i, even, odd, w.even[0], w.odd[0]);                \
        IN_ORDER(left##i);                                                          \
        if (halves > 1) right##i = add_avx2(right##i, even, odd, w.even[1], w.odd[1]);              \
        IN_ORDER(right##i);                                                         \
    }
#define CLOSE(i)                                                      \
    if (rows > i) {                                                   \
        int32_t *to = out + i * m->sums_stride;                       \
        _mm256_storeu_si256((void *)to, left##i);                     \
        _mm256_storeu_si256((void *)(to + 8), right##i);              \
    }

/* Sums of `rows` rows, at most four, of one gate, eight or twice eight units. */
TIER INLINE void rows_avx2(const struct product *m, int gate, int row, int rows, enum words from,
                           int halves) {
    const int64_t stride = m->rows.stride;
    const uint8_t *x = m->rows.at + row * stride;
    const int8_t *tile = m->tiles + gate * m->pitch;
    int32_t *out = m->sums + row * m->sums_stride + gate * LANES;
    struct words_avx2 *kept = m->room;
    const int inputs = half_avx2(m->fours);
    OPEN(0) OPEN(1) OPEN(2) OPEN(3)
    for (int k = 0; k < m->fours; k++, x += 8, tile += 4 * LANES, kept++) {
        const struct words_avx2 w = from == STORED ? *kept : widen_avx2(tile, halves);
        if (from == WIDEN_AND_STORE) *kept = w;
        ADD(0) ADD(1) ADD(2) ADD(3)
    }
    CLOSE(0) CLOSE(1) CLOSE(2) CLOSE(3)
}

TIER INLINE void halves_avx2(const struct product *m, int halves) {
    for (int g = 0; g < m->gates; g++) {
        const int gate = m->which[g];
        int row = 0;
        if (m->count > 4) rows_avx2(m, gate, 0, 4, WIDEN_AND_STORE, halves), row = 4;
        for (; row + 4 <= m->count && row; row += 4) rows_avx2(m, gate, row, 4, STORED, halves);
        if (row) switch (m->count - row) {
            case 1: rows_avx2(m, gate, row, 1, STORED, halves); break;
            case 2: rows_avx2(m, gate, row, 2, STORED, halves); break;
            case 3: rows_avx2(m, gate, row, 3, STORED, halves);
        } else switch (m->count) {
            case 1: rows_avx2(m, gate, 0, 1, WIDEN, halves); break;
            case 2: rows_avx2(m, gate, 0, 2, WIDEN, halves); break;
            case 3: rows_avx2(m, gate, 0, 3, WIDEN, halves); break;
            default: rows_avx2(m, gate, 0, 4, WIDEN, halves);
        }
    }
}

TIER static void product_avx2(const struct product *m) {
    if (m->count <= FEW) few_avx2(m);
    else if (m->lanes > LANES / 2) halves_avx2(m, 2);
    else halves_avx2(m, 1);
}

/* Not for work: the limit of the processor. */
#define BARE(i)                                          \
    IN_ORDER(x_even);                                    \
    IN_ORDER(x_odd);                                     \
    sum##i = add_avx2(sum##i, x_even, x_odd, even, odd); \
    IN_ORDER(sum##i);

TIER static int64_t bare_avx2(int64_t rounds) {
    __m256i x_even = _mm256_set1_epi16(3), x_odd = x_even;
    const __m256i even = x_even, odd = x_even;
    __m256i sum0 = even, sum1 = even, sum2 = even, sum3 = even;
    for (int64_t round = 0; round < rounds; round++) { BARE(0) BARE(1) BARE(2) BARE(3) }
    __asm__ volatile("" : : "x"(sum0), "x"(sum1), "x"(sum2), "x"(sum3));
    return rounds * 4 * 32;
}

TIER static inline void bytes_avx2(uint8_t *to, __m256 v) {
    const __m256i whole = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(ZERO));
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(whole),
                                           _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64((void *)to, _mm_packus_epi16(words, words));
}

#define NAME(x) x##_avx2
#define WIDTH 8
#define MINIMUM(a, b) _mm256_min_ps(a, b)
#define MAXIMUM(a, b) _mm256_max_ps(a, b)
#define QUOTIENT(a, b) ((a) / (b))
#define FUSED(a, b, c) _mm256_fmadd_ps(a, b, c)
#define STORE_BYTES(p, v) bytes_avx2(p, v)
#define FINISH product_avx2
#define STARTS 2
#define PREPARE prepare_avx2
#include "tier.h"

const struct tier tier_avx2 = {direction_avx2, tags_avx2, attend_avx2, bare_avx2, NULL, NULL};
#endif
