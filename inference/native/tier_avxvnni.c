/* AVX2 with VNNI, 256 bits wide. */

#include "tiers.h"

#if X86
#define TIER __attribute__((target("avx2,fma,avxvnni")))

TIER static inline __attribute__((always_inline)) void rows_avxvnni(
    const uint8_t *a, int64_t stride, int rows, const int8_t *tiles, int chunks, int gates,
    int32_t *out) {
    __m256i sums[4][2];
    for (int i = 0; i < rows; i++) sums[i][0] = sums[i][1] = _mm256_setzero_si256();
    for (int chunk = 0; chunk < chunks; chunk++, tiles += gates * TILE)
        for (int k = 0; k < CHUNK; k += 4) {
            const __m256i left = _mm256_loadu_si256((const void *)(tiles + k * LANES));
            const __m256i right = _mm256_loadu_si256((const void *)(tiles + k * LANES + 32));
            for (int i = 0; i < rows; i++) {
                const __m256i x = _mm256_set1_epi32(four_bytes(a + i * stride + chunk * CHUNK + k));
                sums[i][0] = _mm256_dpbusd_avx_epi32(sums[i][0], x, left);
                sums[i][1] = _mm256_dpbusd_avx_epi32(sums[i][1], x, right);
            }
        }
    for (int i = 0; i < rows; i++) memcpy(out + i * LANES, sums[i], sizeof sums[i]);
}

TIER static void product_avxvnni(const struct product *m) {
    for (int gate = 0; gate < m->gates; gate++)
        for (int row = 0; row < m->count; row += 4) {
            const uint8_t *from = m->rows.at + row * m->rows.stride;
            const int8_t *tiles = m->tiles + gate * TILE;
            int32_t *to = m->sums + (gate * LANES + row) * LANES;
            switch (m->count - row) {
                case 1: rows_avxvnni(from, m->rows.stride, 1, tiles, m->chunks, m->gates, to); break;
                case 2: rows_avxvnni(from, m->rows.stride, 2, tiles, m->chunks, m->gates, to); break;
                case 3: rows_avxvnni(from, m->rows.stride, 3, tiles, m->chunks, m->gates, to); break;
                default: rows_avxvnni(from, m->rows.stride, 4, tiles, m->chunks, m->gates, to);
            }
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

const struct tier tier_avxvnni = {direction_avxvnni, tags_avxvnni, bare_avxvnni, NULL, NULL};
#endif
