/* AVX2 with VNNI, 256 bits wide. */

#include "tiers.h"

#if X86
#define TIER __attribute__((target("avx2,fma,avxvnni")))

/* Sums of `rows` rows, at most four, from `row` on, of one gate. */
TIER INLINE void rows_avxvnni(const struct product *m, int gate, int row, int rows) {
    const int64_t stride = m->rows.stride;
    const uint8_t *x = m->rows.at + row * stride;
    const int8_t *tile = m->tiles + gate * m->pitch;
    __m256i sums[4][2];
    for (int i = 0; i < rows; i++)
        for (int half = 0; half < 2; half++)
            sums[i][half] = m->from ? _mm256_loadu_si256(
                (const void *)(start_from(m, row + i, gate) + 8 * half)) : _mm256_setzero_si256();
    for (int k = 0; k < m->fours; k++, x += 4, tile += 4 * LANES) {
        const __m256i left = _mm256_loadu_si256((const void *)tile);
        const __m256i right = _mm256_loadu_si256((const void *)(tile + 32));
        for (int i = 0; i < rows; i++) {
            const __m256i four = _mm256_set1_epi32(four_bytes(x + i * stride));
            sums[i][0] = _mm256_dpbusd_avx_epi32(sums[i][0], four, left);
            sums[i][1] = _mm256_dpbusd_avx_epi32(sums[i][1], four, right);
        }
    }
    for (int i = 0; i < rows; i++)
        memcpy(m->sums + (row + i) * m->sums_stride + gate * LANES, sums[i], sizeof sums[i]);
}

TIER static void product_avxvnni(const struct product *m) {
    for (int g = 0; g < m->gates; g++)
        for (int row = 0; row < m->count; row += 4) switch (m->count - row) {
                case 1: rows_avxvnni(m, m->which[g], row, 1); break;
                case 2: rows_avxvnni(m, m->which[g], row, 2); break;
                case 3: rows_avxvnni(m, m->which[g], row, 3); break;
                default: rows_avxvnni(m, m->which[g], row, 4);
            }
}

/* Not for work: the limit of the processor. */
#define BARE(i)                                     \
    sum##i = _mm256_dpbusd_avx_epi32(sum##i, x, x); \
    __asm__ volatile("" : "+x"(sum##i));

TIER static int64_t bare_avxvnni(int64_t rounds) {
    const __m256i x = _mm256_set1_epi8(3);
    __m256i sum0 = x, sum1 = x, sum2 = x, sum3 = x, sum4 = x;
    __m256i sum5 = x, sum6 = x, sum7 = x, sum8 = x, sum9 = x;
    for (int64_t round = 0; round < rounds; round++) {
        BARE(0) BARE(1) BARE(2) BARE(3) BARE(4) BARE(5) BARE(6) BARE(7) BARE(8) BARE(9)
    }
    return rounds * 10 * 32;
}

TIER static inline __m256 reciprocal_avxvnni(__m256 v) {
    const __m256 guess = _mm256_rcp_ps(v); /* 12 bits; one step of Newton doubles them */
    return guess * (2.0f - v * guess);
}

TIER static inline void bytes_avxvnni(uint8_t *to, __m256 v) {
    const __m256i whole = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(ZERO));
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(whole),
                                           _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64((void *)to, _mm_packus_epi16(words, words));
}

#define NAME(x) x##_avxvnni
#define WIDTH 8
#define MINIMUM(a, b) _mm256_min_ps(a, b)
#define MAXIMUM(a, b) _mm256_max_ps(a, b)
#define QUOTIENT(a, b) ((a) * reciprocal_avxvnni(b))
#define FUSED(a, b, c) _mm256_fmadd_ps(a, b, c)
#define STORE_BYTES(p, v) bytes_avxvnni(p, v)
#define FINISH product_avxvnni
#include "tier.h"

const struct tier tier_avxvnni = {direction_avxvnni, tags_avxvnni, attend_avxvnni, bare_avxvnni, NULL, NULL};
#endif
