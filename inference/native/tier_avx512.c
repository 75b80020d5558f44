/* AVX-512 with VNNI, and AMX tiles, whose few rows and cells are those of AVX-512. */

#include "tiers.h"

#if X86
#define AVX512 __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define TIER AVX512

/* Rows that are multiplied together: with four gates their sums, the weights and a row's bytes fill the
 * registers. */
enum { MOST_ROWS = 6 };

/* Sums of `rows` rows, at most six, from `row` on. */
TIER INLINE void rows_vnni(const struct product *m, int row, int rows, int gates) {
    const int64_t stride = m->rows.stride;
    const uint8_t *x = m->rows.at + row * stride;
    const int8_t *tiles[4];
    __m512i sums[MOST_ROWS][4];
    for (int gate = 0; gate < gates; gate++) {
        tiles[gate] = m->tiles + m->which[gate] * m->pitch;
        for (int i = 0; i < rows; i++)
            sums[i][gate] = m->from ? _mm512_loadu_si512(start_from(m, row + i, m->which[gate]))
                                    : _mm512_setzero_si512();
    }
    for (int k = 0; k < m->fours; k++, x += 4) {
        __m512i w[4];
        for (int gate = 0; gate < gates; gate++)
            w[gate] = _mm512_loadu_si512(tiles[gate] + k * 4 * LANES);
        for (int i = 0; i < rows; i++) {
            const __m512i four = _mm512_set1_epi32(four_bytes(x + i * stride));
            for (int gate = 0; gate < gates; gate++)
                sums[i][gate] = _mm512_dpbusd_epi32(sums[i][gate], four, w[gate]);
        }
    }
    int32_t *out = m->sums + row * m->sums_stride;
    for (int i = 0; i < rows; i++, out += m->sums_stride)
        for (int gate = 0; gate < gates; gate++)
            _mm512_storeu_si512(out + m->which[gate] * LANES, sums[i][gate]);
}

#define CASE(r, g) \
    case (r) * 8 + (g): rows_vnni(m, row, r, g); break;
#define CASES(r) CASE(r, 1) CASE(r, 2) CASE(r, 3) CASE(r, 4)

/* In parts of even size: few rows keep the processor waiting for sums. */
TIER static void product_vnni(const struct product *m) {
    for (int row = 0, rows; row < m->count; row += rows) {
        const int left = m->count - row, parts = (left + MOST_ROWS - 1) / MOST_ROWS;
        rows = (left + parts - 1) / parts;
        switch (rows * 8 + m->gates) { CASES(1) CASES(2) CASES(3) CASES(4) CASES(5) CASES(6) }
    }
}

/* Not for work: the limit of the processor. */
#define BARE(i)                                     \
    sum##i = _mm512_dpbusd_epi32(sum##i, x, x); \
    __asm__ volatile("" : "+v"(sum##i));

TIER static int64_t bare_vnni(int64_t rounds) {
    const __m512i x = _mm512_set1_epi8(3);
    __m512i sum0 = x, sum1 = x, sum2 = x, sum3 = x, sum4 = x;
    __m512i sum5 = x, sum6 = x, sum7 = x, sum8 = x, sum9 = x;
    for (int64_t round = 0; round < rounds; round++) {
        BARE(0) BARE(1) BARE(2) BARE(3) BARE(4) BARE(5) BARE(6) BARE(7) BARE(8) BARE(9)
    }
    return rounds * 10 * 64;
}

TIER static inline void bytes_vnni(uint8_t *to, __m512 v) {
    const __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(ZERO));
    _mm_storeu_si128((void *)to, _mm512_cvtusepi32_epi8(whole));
}

/* tanh(x) as 32 parabolas, of x / STEP in place of x: the one around each whole number, fitted for the
 * least maximum error (7e-5; a byte has steps of 8e-3). [power][whole number]. */
#define STEP (3.0f / 16)
static const float parabolas[3][32] __attribute__((aligned(64))) = {
    {0.0f, -0.0016211182f, -0.011711217f, -0.025115699f,
     -0.025024721f, 0.0040715286f, 0.066961266f, 0.15763354f,
     0.26458085f, 0.3760649f, 0.4830412f, 0.5798865f,
     0.6639362f, 0.73462689f, 0.79268068f, 0.83948082f,
     0.87665856f, 0.90584183f, 0.928527f, 0.94601607f,
     0.9594838f, 0.96965903f, 0.97736102f, 0.98300201f,
     0.98739588f, 0.99077255f, 0.99319506f, 0.99499357f,
     0.99632502f, 0.99730802f, 0.99803191f, 0.99856228f},
    {0.18773539f, 0.19320045f, 0.20686457f, 0.21793196f,
     0.21817523f, 0.2054195f, 0.18261628f, 0.15471102f,
     0.12615097f, 0.099868782f, 0.077299774f, 0.058813371f,
     0.044165172f, 0.032831635f, 0.024214342f, 0.017747199f,
     0.012941628f, 0.0093983477f, 0.0068016192f, 0.0049080146f,
     0.0035248159f, 0.0025310589f, 0.0018138631f, 0.0013115865f,
     0.00093679369f, 0.00066083716f, 0.00047064791f, 0.00033477691f,
     0.00023785477f, 0.00016881064f, 0.00011968786f, 8.4865802e-05f},
    {-0.0015238067f, -0.0062483139f, -0.010915932f, -0.013205899f,
     -0.01328307f, -0.011883934f, -0.0098154973f, -0.0076674223f,
     -0.0057599982f, -0.0042105601f, -0.0030199324f, -0.0021375704f,
     -0.0014992494f, -0.0010449258f, -0.00072511006f, -0.00050167064f,
     -0.00034636643f, -0.00023880665f, -0.00016449112f, -0.0001132313f,
     -7.7714336e-05f, -5.3449516e-05f, -3.6752903e-05f, -2.5571859e-05f,
     -1.757929e-05f, -1.1940978e-05f, -8.2077804e-06f, -5.6415324e-06f,
     -3.8775602e-06f, -2.6650976e-06f, -1.8317365e-06f, -1.2601238e-06f}};

TIER INLINE __m512 coefficients_vnni(int power, __m512i which) {
    const float *from = parabolas[power];
    return _mm512_permutex2var_ps(_mm512_load_ps(from), which, _mm512_load_ps(from + 16));
}

TIER INLINE __m512 tanh_vnni(__m512 x) {
    const __m512 size = _mm512_min_ps(_mm512_abs_ps(x), _mm512_set1_ps(31.49f));
    const __m512i which = (__m512i)(size + 0x1p23f); /* rounded, in the lowest bits */
    __m512 y = _mm512_fmadd_ps(coefficients_vnni(2, which), size, coefficients_vnni(1, which));
    y = _mm512_fmadd_ps(y, size, coefficients_vnni(0, which));
    const __m512i sign = _mm512_set1_epi32(INT32_MIN);
    return (__m512)_mm512_ternarylogic_epi32(sign, (__m512i)x, (__m512i)y, 0xca); /* sign ? x : y */
}

TIER INLINE __m512 sigmoid_vnni(__m512 half) { return 0.5f * tanh_vnni(half) + 0.5f; }

#define OWN_GATES
#define ARGUMENT (1 / STEP)
#define NAME(x) x##_vnni
#define WIDTH 16
#define MAXIMUM(a, b) _mm512_max_ps(a, b)
#define FUSED(a, b, c) _mm512_fmadd_ps(a, b, c)
#define STORE_BYTES(p, v) bytes_vnni(p, v)
#define FINISH product_vnni
#include "tier.h"

const struct tier tier_vnni = {direction_vnni, tags_vnni, attend_vnni, bare_vnni, NULL, NULL};

#ifdef __linux__
/* ---- AMX ---- */

#define TIER                                                                                \
    __attribute__((target(                                                                  \
        "avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,amx-tile,amx-int8")))

/* With fewer rows a tile is not worth its while. */
enum { FEW = 2 };

#define LOAD_AND_ADD(gate)                                       \
    _tile_loadd(5, tiles + (gate) * m->pitch, 4 * LANES);        \
    _tile_dpbusd(gate, 4, 5);
#define STORE_SUMS(gate) _tile_stored(gate, m->sums + (gate) * LANES, m->sums_stride * 4);
#define FOR_CHUNKS(body)                                              \
    for (int k = 0; k < 4 * m->fours; k += CHUNK, tiles += TILE) {    \
        _tile_loadd(4, a + k, stride);                                \
        body                                                          \
    }

/* All LANES rows are read, and the sums stay in tiles 0..gates. */
TIER static inline void start_amx(const struct product *m) {
    if (m->count <= FEW) return;
    const uint8_t *a = m->rows.at;
    const int8_t *tiles = m->tiles;
    const int64_t stride = m->rows.stride;
    __asm__ volatile("" ::: "memory"); /* GCC 12 does not know that _tile_loadd reads memory */
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    switch (m->gates) {
        case 4: FOR_CHUNKS(LOAD_AND_ADD(0) LOAD_AND_ADD(1) LOAD_AND_ADD(2) LOAD_AND_ADD(3)) break;
        case 3: FOR_CHUNKS(LOAD_AND_ADD(0) LOAD_AND_ADD(1) LOAD_AND_ADD(2)) break;
        case 2: FOR_CHUNKS(LOAD_AND_ADD(0) LOAD_AND_ADD(1)) break;
        default: FOR_CHUNKS(LOAD_AND_ADD(0))
    }
}

TIER static inline void finish_amx(const struct product *m) {
    if (m->count <= FEW) {
        product_vnni(m);
        return;
    }
    /* In the order in which the sums become ready: a store waits for those before it. */
    STORE_SUMS(0)
    if (m->gates > 1) STORE_SUMS(1)
    if (m->gates > 2) STORE_SUMS(2)
    if (m->gates > 3) STORE_SUMS(3)
}

#define tanh_amx tanh_vnni
#define sigmoid_amx sigmoid_vnni
#define OWN_GATES
#define ARGUMENT (1 / STEP)
#define NAME(x) x##_amx
#define WIDTH 16
#define MAXIMUM(a, b) _mm512_max_ps(a, b)
#define FUSED(a, b, c) _mm512_fmadd_ps(a, b, c)
#define STORE_BYTES(p, v) bytes_vnni(p, v)
#define SPLIT 0
#define START start_amx
#define FINISH finish_amx
#include "tier.h"

/* Eight tiles of LANES rows of CHUNK bytes. */
__attribute__((target("amx-tile"))) static void open_tiles(void) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } __attribute__((packed)) config = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) {
        config.bytes[tile] = CHUNK;
        config.rows[tile] = LANES;
    }
    __asm__ volatile("" : : "r"(&config) : "memory"); /* nor that this reads all of it */
    _tile_loadconfig(&config);
}

__attribute__((target("amx-tile"))) static void close_tiles(void) { _tile_release(); }

__attribute__((target("amx-tile,amx-int8"))) static int64_t bare_amx(int64_t rounds) {
    for (int64_t round = 0; round < rounds; round++) {
        _tile_dpbusd(0, 4, 5);
        _tile_dpbusd(1, 4, 5);
        _tile_dpbusd(2, 4, 5);
        _tile_dpbusd(3, 4, 5);
    }
    return rounds * 4 * LANES * LANES * CHUNK;
}

const struct tier tier_amx = {direction_amx, tags_amx, attend_amx, bare_amx, open_tiles, close_tiles};
#endif
#endif
