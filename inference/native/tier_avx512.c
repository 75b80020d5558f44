/* AVX-512 with VNNI, and AMX tiles, whose few rows and cells are those of AVX-512. */

#include "tiers.h"

#if X86
#define AVX512 __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define TIER AVX512

TIER static inline __attribute__((always_inline)) void rows_vnni(
    const uint8_t *a, int64_t stride, int rows, const int8_t *tiles, int chunks, int gates,
    int32_t *out) {
    __m512i sums[4][4];
    for (int i = 0; i < rows; i++)
        for (int gate = 0; gate < gates; gate++) sums[i][gate] = _mm512_setzero_si512();
    for (int chunk = 0; chunk < chunks; chunk++, tiles += gates * TILE)
        for (int k = 0; k < CHUNK; k += 4) {
            __m512i w[4];
            for (int gate = 0; gate < gates; gate++)
                w[gate] = _mm512_loadu_si512(tiles + gate * TILE + k * LANES);
            for (int i = 0; i < rows; i++) {
                const __m512i x = _mm512_set1_epi32(four_bytes(a + i * stride + chunk * CHUNK + k));
                for (int gate = 0; gate < gates; gate++)
                    sums[i][gate] = _mm512_dpbusd_epi32(sums[i][gate], x, w[gate]);
            }
        }
    for (int i = 0; i < rows; i++)
        for (int gate = 0; gate < gates; gate++)
            _mm512_storeu_si512(out + (gate * LANES + i) * LANES, sums[i][gate]);
}

#define CASE(r, g)                                                             \
    case (r) * 8 + (g):                                                        \
        rows_vnni(from, m->rows.stride, r, m->tiles, m->chunks, g, out);       \
        break;
#define CASES(r) CASE(r, 1) CASE(r, 2) CASE(r, 3) CASE(r, 4)

TIER static void product_vnni(const struct product *m) {
    const uint8_t *from = m->rows.at;
    int32_t *out = m->sums;
    for (int rows = m->count; rows > 0; rows -= 4, from += 4 * m->rows.stride, out += 4 * LANES)
        switch ((rows < 4 ? rows : 4) * 8 + m->gates) { CASES(1) CASES(2) CASES(3) CASES(4) }
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

#define NAME(x) x##_vnni
#define WIDTH 16
#define MINIMUM(a, b) _mm512_min_ps(a, b)
#define MAXIMUM(a, b) _mm512_max_ps(a, b)
#define QUOTIENT(a, b) ((a) * _mm512_rcp14_ps(b)) /* to 6e-5; a byte has steps of 8e-3 */
#define FUSED(a, b, c) _mm512_fmadd_ps(a, b, c)
#define STORE_BYTES(p, v) bytes_vnni(p, v)
#define FINISH product_vnni
#include "tier.h"

const struct tier tier_vnni = {direction_vnni, tags_vnni, bare_vnni, NULL, NULL};

#ifdef __linux__
/* ---- AMX ---- */

#define TIER                                                                                \
    __attribute__((target(                                                                  \
        "avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,amx-tile,amx-int8")))

/* With fewer rows a tile is not worth its while. */
enum { FEW = 2 };

#define LOAD_AND_ADD(gate)                        \
    _tile_loadd(5, tiles + (gate) * TILE, CHUNK); \
    _tile_dpbusd(gate, 4, 5);
#define STORE_SUMS(gate) _tile_stored(gate, m->sums + (gate) * LANES * LANES, CHUNK);
#define FOR_CHUNKS(body)                                                  \
    for (int chunk = 0; chunk < chunks; chunk++, tiles += gates * TILE) { \
        _tile_loadd(4, a + chunk * CHUNK, stride);                        \
        body                                                              \
    }

/* All LANES rows are read, and the sums stay in tiles 0..gates. */
TIER static inline void start_amx(const struct product *m) {
    if (m->count <= FEW) return;
    const uint8_t *a = m->rows.at;
    const int8_t *tiles = m->tiles;
    const int64_t stride = m->rows.stride;
    const int chunks = m->chunks, gates = m->gates;
    __asm__ volatile("" ::: "memory"); /* GCC 12 does not know that _tile_loadd reads memory */
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    switch (gates) {
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

#define NAME(x) x##_amx
#define WIDTH 16
#define MINIMUM(a, b) _mm512_min_ps(a, b)
#define MAXIMUM(a, b) _mm512_max_ps(a, b)
#define QUOTIENT(a, b) ((a) * _mm512_rcp14_ps(b))
#define FUSED(a, b, c) _mm512_fmadd_ps(a, b, c)
#define STORE_BYTES(p, v) bytes_vnni(p, v)
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

const struct tier tier_amx = {direction_amx, tags_amx, bare_amx, open_tiles, close_tiles};
#endif
#endif
