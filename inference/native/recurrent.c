/* Emissions of a recurrent network in 8-bit arithmetic, a batch of sentences at a time.
 *
 * A step of a direction is a product, of states and inputs side by side, and the cell's
 * arithmetic. Both are done for LANES units of up to LANES sentences at once, so that what lies
 * between them stays in the nearest cache. The scales of inputs and states are constants of the
 * model, and sums of bytes are exact: a sentence's result does not depend on its batch.
 *
 * The products come in tiers: AMX tiles, AVX-512 VNNI, AVX2, and portable C.
 */

#include "recurrent.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && defined(__linux__)
#define X86 1
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#define X86 0
#endif

#ifdef _WIN32
#define PUBLIC __declspec(dllexport)
#else
#define PUBLIC __attribute__((visibility("default")))
#endif

/* What one direction of a layer works on. */
struct pass {
    int sequences, directions;
    const int32_t *lengths;
    const uint8_t *table;  /* the first layer's inputs, by row; NULL in later layers */
    const int64_t *rows;   /* [T][sequences] */
    const uint8_t *before; /* later layers' inputs [T][sequences][...] */
    uint8_t *after;        /* states [T][sequences][directions][...] */
    uint8_t *rows_now;     /* states of the step before, with this step's inputs */
    uint8_t *rows_next;
    float *cells;
};

/* LANES units of up to LANES rows. */
struct block {
    int32_t *sums; /* [G][LANES rows][LANES] */
    const float *scale, *bias, *peephole;
    float *cells;
    uint8_t *out;
    int64_t stride, out_stride; /* from row to row of cells and out */
    int rows;
};

static inline int64_t padded_rows(int64_t rows) { return (rows + LANES - 1) / LANES * LANES; }

/* The second direction reads every sequence from its end. */
static inline int64_t place_of(const struct pass *p, int d, int step, int row) {
    const int at = d ? p->lengths[row] - 1 - step : step;
    return (int64_t)at * p->sequences + row;
}

static inline const uint8_t *input_of(const struct pass *p, int d, int step, int row, int width) {
    const int64_t place = place_of(p, d, step, row);
    return p->table ? p->table + p->rows[place] * width : p->before + place * width;
}

static inline uint8_t *output_of(const struct pass *p, int d, int step, int row, int64_t stride) {
    return p->after + (place_of(p, d, step, row) * p->directions + d) * stride;
}

/* ---- portable ---- */

/* out [gates][LANES][LANES]: for each of `rows` rows of `chunks` * CHUNK bytes, `stride` apart,
 * the sums of products with tiles [chunks][gates][TILE]. */
static void product_portable(const uint8_t *a, int64_t stride, int rows, const int8_t *tiles,
                             int chunks, int gates, int32_t *out) {
    memset(out, 0, sizeof(int32_t) * gates * LANES * LANES);
    for (int chunk = 0; chunk < chunks; chunk++)
        for (int gate = 0; gate < gates; gate++, tiles += TILE)
            for (int row = 0; row < rows; row++) {
                int32_t *sums = out + (gate * LANES + row) * LANES;
                const uint8_t *from = a + row * stride + chunk * CHUNK;
                for (int k = 0; k < CHUNK; k++)
                    for (int lane = 0; lane < LANES; lane++)
                        sums[lane] += from[k] * tiles[(k / 4 * LANES + lane) * 4 + k % 4];
            }
}

typedef float portable_floats __attribute__((vector_size(16)));

static inline portable_floats portable_select(portable_floats a, portable_floats b, int least) {
    for (int i = 0; i < 4; i++) a[i] = (a[i] < b[i]) == least ? a[i] : b[i];
    return a;
}

static inline void portable_bytes(uint8_t *to, portable_floats v) {
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(lrintf(v[i]) + ZERO);
}

#define TIER
#define NAME(x) x##_portable
#define WIDTH 4
#define MINIMUM(a, b) portable_select(a, b, 1)
#define MAXIMUM(a, b) portable_select(a, b, 0)
#define RECIPROCAL(v) (1.0f / (v))
#define STORE_BYTES(p, v) portable_bytes(p, v)
#define START(...)
#define FINISH product_portable
#include "tier.h"

#if X86
static inline int32_t four_bytes(const uint8_t *from) {
    int32_t four;
    memcpy(&four, from, sizeof four);
    return four;
}

/* ---- AVX2 with VNNI ---- */

#define TIER __attribute__((target("avx2,fma,avxvnni")))

TIER static inline __attribute__((always_inline)) void rows_avx2(
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

TIER static void product_avx2(const uint8_t *a, int64_t stride, int rows, const int8_t *tiles,
                              int chunks, int gates, int32_t *out) {
    for (int gate = 0; gate < gates; gate++, tiles += TILE, out += LANES * LANES)
        for (int row = 0; row < rows; row += 4) {
            const uint8_t *from = a + row * stride;
            int32_t *to = out + row * LANES;
            switch (rows - row) {
                case 1: rows_avx2(from, stride, 1, tiles, chunks, gates, to); break;
                case 2: rows_avx2(from, stride, 2, tiles, chunks, gates, to); break;
                case 3: rows_avx2(from, stride, 3, tiles, chunks, gates, to); break;
                default: rows_avx2(from, stride, 4, tiles, chunks, gates, to);
            }
        }
}

TIER static inline __m256 reciprocal_avx2(__m256 v) {
    const __m256 guess = _mm256_rcp_ps(v); /* 12 bits; one step of Newton doubles them */
    return guess * (2.0f - v * guess);
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
#define RECIPROCAL(v) reciprocal_avx2(v)
#define STORE_BYTES(p, v) bytes_avx2(p, v)
#define START(...)
#define FINISH product_avx2
#include "tier.h"

/* ---- AVX-512 with VNNI ---- */

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

#define CASE(r, g) case (r) * 8 + (g): rows_vnni(a, stride, r, tiles, chunks, g, out); break;
#define CASES(r) CASE(r, 1) CASE(r, 2) CASE(r, 3) CASE(r, 4)

TIER static void product_vnni(const uint8_t *a, int64_t stride, int rows, const int8_t *tiles,
                              int chunks, int gates, int32_t *out) {
    for (; rows > 0; rows -= 4, a += 4 * stride, out += 4 * LANES)
        switch ((rows < 4 ? rows : 4) * 8 + gates) { CASES(1) CASES(2) CASES(3) CASES(4) }
}

TIER static inline void bytes_vnni(uint8_t *to, __m512 v) {
    const __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(ZERO));
    _mm_storeu_si128((void *)to, _mm512_cvtusepi32_epi8(whole));
}

#define NAME(x) x##_vnni
#define WIDTH 16
#define MINIMUM(a, b) _mm512_min_ps(a, b)
#define MAXIMUM(a, b) _mm512_max_ps(a, b)
#define RECIPROCAL(v) _mm512_rcp14_ps(v) /* to 6e-5; a byte has steps of 8e-3 */
#define STORE_BYTES(p, v) bytes_vnni(p, v)
#define START(...)
#define FINISH product_vnni
#include "tier.h"

/* ---- AMX ---- */

#define TIER                                                                                \
    __attribute__((target(                                                                  \
        "avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,amx-tile,amx-int8")))

/* With fewer rows a tile is not worth its while. */
enum { FEW = 2 };

#define LOAD_AND_ADD(gate)                        \
    _tile_loadd(5, tiles + (gate) * TILE, CHUNK); \
    _tile_dpbusd(gate, 4, 5);
#define STORE_SUMS(gate) _tile_stored(gate, out + (gate) * LANES * LANES, CHUNK);
#define FOR_CHUNKS(body)                                                  \
    for (int chunk = 0; chunk < chunks; chunk++, tiles += gates * TILE) { \
        _tile_loadd(4, a + chunk * CHUNK, stride);                        \
        body                                                              \
    }

/* As product_portable, but all LANES rows are read, and the sums stay in tiles 0..gates. */
TIER static inline void start_amx(const uint8_t *a, int64_t stride, int rows, const int8_t *tiles,
                                  int chunks, int gates) {
    if (rows <= FEW) return;
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

TIER static inline void finish_amx(const uint8_t *a, int64_t stride, int rows, const int8_t *tiles,
                                   int chunks, int gates, int32_t *out) {
    if (rows <= FEW) {
        product_vnni(a, stride, rows, tiles, chunks, gates, out);
        return;
    }
    /* In the order in which the sums become ready: a store waits for those before it. */
    STORE_SUMS(0)
    if (gates > 1) STORE_SUMS(1)
    if (gates > 2) STORE_SUMS(2)
    if (gates > 3) STORE_SUMS(3)
}

#define NAME(x) x##_amx
#define WIDTH 16
#define MINIMUM(a, b) _mm512_min_ps(a, b)
#define MAXIMUM(a, b) _mm512_max_ps(a, b)
#define RECIPROCAL(v) _mm512_rcp14_ps(v)
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

/* Registers of CPUID's leaf 7 that __builtin_cpu_supports does not know. */
static int has_avx_vnni(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1 << 4);
}

/* The processor has tiles, and Linux lets this process use them. */
static int has_amx(void) {
    enum { ASK_FOR_STATE = 0x1023, TILE_DATA = 18, TILES = 1 << 24, INT8 = 1 << 25 };
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & TILES) || !(d & INT8)) return 0;
    return syscall(SYS_arch_prctl, ASK_FOR_STATE, TILE_DATA) == 0;
}
#endif

/* ---- entry points ---- */

enum tier { PORTABLE, AVX2, VNNI, AMX };

/* See INTERFACE in __init__.py. */
PUBLIC int tagbelt_interface(void) { return 2; }

/* The best tier of this processor, as a number of `enum tier`; all lower ones work as well. */
PUBLIC int tagbelt_best_tier(void) {
#if X86
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return PORTABLE;
    if (!__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vnni"))
        return has_avx_vnni() ? AVX2 : PORTABLE;
    return has_amx() ? AMX : VNNI;
#else
    return PORTABLE;
#endif
}

static int64_t rounded(int64_t bytes) { return (bytes + CHUNK - 1) / CHUNK * CHUNK; }

static int64_t largest(const struct network *n, int64_t (*of)(const struct layer *)) {
    int64_t most = 0;
    for (int i = 0; i < n->layers; i++)
        if (of(n->layer + i) > most) most = of(n->layer + i);
    return most;
}

static int64_t row_bytes(const struct layer *l) { return (int64_t)l->chunks * CHUNK; }
static int64_t cell_bytes(const struct layer *l) { return (int64_t)l->unit_blocks * LANES * 4; }
static int64_t output_bytes(const struct layer *l) {
    return (int64_t)l->directions * l->unit_blocks * LANES;
}

/* What Python reads of a cell. */
struct cell_row {
    const char *name;
    int32_t gates, sigmoids;
};

/* A cell of cells.h by its number; NULL behind the last. */
PUBLIC const struct cell_row *tagbelt_cell(int32_t cell) {
#define ROW(constant, name, gates, sigmoids) {name, gates, sigmoids},
    static const struct cell_row rows[] = {CELLS(ROW)};
#undef ROW
    return cell >= 0 && cell < CELL_COUNT ? rows + cell : NULL;
}

/* Bytes of the outputs of a layer; the last block of rows may be read beyond its end. */
static int64_t outputs(const struct network *n, int32_t steps, int32_t sequences) {
    return rounded(((int64_t)steps * sequences + LANES) * largest(n, output_bytes) + CHUNK);
}

/* Bytes that `tagbelt_emissions` needs to work in. */
PUBLIC int64_t tagbelt_scratch(const struct network *n, int32_t steps, int32_t sequences) {
    const int64_t rows = padded_rows(sequences);
    return CHUNK + 2 * rounded(rows * largest(n, row_bytes)) +
           rounded(rows * largest(n, cell_bytes)) + 2 * outputs(n, steps, sequences);
}

/* Emissions [lengths[0]][sequences][tags]; what stands behind a sequence's end stays as it is.
 *
 * `rows` [lengths[0]][sequences] are rows of `table` (those behind an end are not read);
 * `lengths` fall and are at least 1; `scratch` is `tagbelt_scratch` bytes. */
PUBLIC void tagbelt_emissions(const struct network *n, int32_t tier, const uint8_t *table,
                              const int64_t *rows, const int32_t *lengths, int32_t sequences,
                              float *emissions, uint8_t *scratch) {
    const int32_t steps = lengths[0];
    struct pass p = {.sequences = sequences, .lengths = lengths, .table = table, .rows = rows};
    const int64_t padded = padded_rows(sequences);
    uint8_t *free = scratch + (CHUNK - (uintptr_t)scratch % CHUNK) % CHUNK;
    p.rows_now = free;
    p.rows_next = p.rows_now + rounded(padded * largest(n, row_bytes));
    p.cells = (float *)(p.rows_next + rounded(padded * largest(n, row_bytes)));
    uint8_t *states[2];
    states[0] = (uint8_t *)p.cells + rounded(padded * largest(n, cell_bytes));
    states[1] = states[0] + outputs(n, steps, sequences);

    void (*direction)(const struct layer *, int, const struct pass *) = direction_portable;
    void (*tags)(const struct network *, const uint8_t *, int64_t, int, float *) = tags_portable;
#if X86
    if (tier == AVX2) direction = direction_avx2, tags = tags_avx2;
    if (tier == VNNI) direction = direction_vnni, tags = tags_vnni;
    if (tier == AMX) direction = direction_amx, tags = tags_amx, open_tiles();
#endif
    for (int i = 0; i < n->layers; i++) {
        const struct layer *l = n->layer + i;
        p.directions = l->directions;
        p.after = states[i % 2];
        for (int d = 0; d < l->directions; d++) direction(l, d, &p);
        p.before = p.after;
        p.table = NULL;
    }
    const int64_t stride = output_bytes(n->layer + n->layers - 1);
    for (int step = 0, alive = sequences; step < steps; step++) {
        while (lengths[alive - 1] <= step) alive--;
        for (int row = 0; row < alive; row += LANES) {
            const int64_t place = (int64_t)step * sequences + row;
            tags(n, p.before + place * stride, stride, alive - row < LANES ? alive - row : LANES,
                 emissions + place * n->tags);
        }
    }
#if X86
    if (tier == AMX) close_tiles();
#endif
}
