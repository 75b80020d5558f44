/* 64-bit ARM: with the products of bytes that every such processor has, with its dot products, and
 * with products of small matrices.
 *
 * The first two take signed bytes: rows are prepared as x - ZERO, and `start` holds what that takes
 * off. */

#include "exact.h"
#include "tiers.h"

#if NEON
#include <arm_neon.h>

static struct rows prepare_neon(uint8_t *to, struct rows rows, int count, int fours) {
    const int64_t bytes = 4 * fours;
    for (int row = 0; row < count; row++) {
        const uint8_t *from = rows.at + row * rows.stride;
        for (int k = 0; k < bytes; k += 16)
            vst1q_u8(to + row * bytes + k, veorq_u8(vld1q_u8(from + k), vdupq_n_u8(ZERO)));
    }
    return (struct rows){to, bytes};
}

static inline int8x16_t four_times_neon(const uint8_t *from) {
    return vreinterpretq_s8_s32(vdupq_n_s32(four_bytes(from)));
}

static inline int32x4_t start_neon(const struct product *m, int row, int gate, int lane) {
    const int32x4_t start = vld1q_s32(m->start + gate * LANES + lane);
    return m->from ? vaddq_s32(start, vld1q_s32(start_from(m, row, gate) + lane)) : start;
}

/* Sums of `rows` rows, at most two, of one gate. Two products of bytes fit in 16 bits: 2 * 128 *
 * 127. */
INLINE void rows_neon(const struct product *m, int gate, int row, int rows) {
    const uint8_t *x = m->rows.at + row * m->rows.stride;
    const int8_t *tile = m->tiles + gate * m->pitch;
    int32x4_t sums[2][8];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < 8; v++) sums[i][v] = vdupq_n_s32(0);
    for (int k = 0; k < m->fours; k += 2, x += 8, tile += 8 * LANES) {
        int8x16_t now[2], next[2];
        for (int i = 0; i < rows; i++) {
            now[i] = four_times_neon(x + i * m->rows.stride);
            next[i] = four_times_neon(x + i * m->rows.stride + 4);
        }
        for (int v = 0; v < 4; v++) { /* four units of four inputs, and of the next four */
            const int8x16_t w = vld1q_s8(tile + 16 * v);
            const int8x16_t u = vld1q_s8(tile + 16 * v + 4 * LANES);
            for (int i = 0; i < rows; i++) {
                int16x8_t left = vmull_s8(vget_low_s8(now[i]), vget_low_s8(w));
                int16x8_t right = vmull_high_s8(now[i], w);
                left = vmlal_s8(left, vget_low_s8(next[i]), vget_low_s8(u));
                right = vmlal_high_s8(right, next[i], u);
                sums[i][2 * v] = vpadalq_s16(sums[i][2 * v], left);
                sums[i][2 * v + 1] = vpadalq_s16(sums[i][2 * v + 1], right);
            }
        }
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < 4; v++) {
            const int32x4_t pairs = vpaddq_s32(sums[i][2 * v], sums[i][2 * v + 1]);
            vst1q_s32(m->sums + (row + i) * m->sums_stride + gate * LANES + 4 * v,
                      vaddq_s32(pairs, start_neon(m, row + i, gate, 4 * v)));
        }
}

static void product_neon(const struct product *m) {
    for (int g = 0; g < m->gates; g++)
        for (int row = 0; row < m->count; row += 2) {
            if (m->count - row == 1) rows_neon(m, m->which[g], row, 1);
            else rows_neon(m, m->which[g], row, 2);
        }
}

static inline void bytes_neon(uint8_t *to, float32x4_t v) {
    const int32x4_t whole = vaddq_s32(vcvtnq_s32_f32(v), vdupq_n_s32(ZERO));
    const uint16x4_t words = vmovn_u32(vreinterpretq_u32_s32(whole));
    const uint8x8_t bytes = vmovn_u16(vcombine_u16(words, words));
    memcpy(to, &bytes, 4);
}

#define TIER
#define NAME(x) x##_neon
#define WIDTH 4
#define MINIMUM(a, b) vminq_f32(a, b)
#define MAXIMUM(a, b) vmaxq_f32(a, b)
#define QUOTIENT(a, b) ((a) / (b))
#define FUSED(a, b, c) vfmaq_f32(c, a, b)
#define STORE_BYTES(p, v) bytes_neon(p, v)
#define FINISH product_neon
#define PREPARE prepare_neon
#include "tier.h"

const struct tier tier_neon = {direction_neon, tags_neon, attend_neon, NULL, NULL, NULL};

/* ---- with dot products ---- */

#if NEON_DOT
#define TIER DOT_TARGET

/* Sums of `rows` rows, at most four, of one gate. */
TIER INLINE void rows_neondot(const struct product *m, int gate, int row, int rows) {
    const uint8_t *x = m->rows.at + row * m->rows.stride;
    const int8_t *tile = m->tiles + gate * m->pitch;
    int32x4_t sums[4][4];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < 4; v++) sums[i][v] = start_neon(m, row + i, gate, 4 * v);
    for (int k = 0; k < m->fours; k++, x += 4, tile += 4 * LANES) {
        int8x16_t w[4];
        for (int v = 0; v < 4; v++) w[v] = vld1q_s8(tile + 16 * v);
        for (int i = 0; i < rows; i++) {
            const int8x16_t four = four_times_neon(x + i * m->rows.stride);
            for (int v = 0; v < 4; v++) sums[i][v] = vdotq_s32(sums[i][v], w[v], four);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < 4; v++)
            vst1q_s32(m->sums + (row + i) * m->sums_stride + gate * LANES + 4 * v, sums[i][v]);
}

TIER static void product_neondot(const struct product *m) {
    for (int g = 0; g < m->gates; g++)
        for (int row = 0; row < m->count; row += 4) switch (m->count - row) {
                case 1: rows_neondot(m, m->which[g], row, 1); break;
                case 2: rows_neondot(m, m->which[g], row, 2); break;
                case 3: rows_neondot(m, m->which[g], row, 3); break;
                default: rows_neondot(m, m->which[g], row, 4);
            }
}

#define NAME(x) x##_neondot
#define WIDTH 4
#define MINIMUM(a, b) vminq_f32(a, b)
#define MAXIMUM(a, b) vmaxq_f32(a, b)
#define QUOTIENT(a, b) ((a) / (b))
#define FUSED(a, b, c) vfmaq_f32(c, a, b)
#define STORE_BYTES(p, v) bytes_neon(p, v)
#define FINISH product_neondot
#define PREPARE prepare_neon
#include "tier.h"

const struct tier tier_neondot = {direction_neondot, tags_neondot, attend_neondot, NULL, NULL, NULL};

/* ---- with products of matrices ---- */

#define TIER I8MM_TARGET

/* Two rows side by side, eight bytes of one, then eight of the other. */
static struct rows prepare_neoni8mm(uint8_t *to, struct rows rows, int count, int fours) {
    const int64_t bytes = 4 * fours;
    for (int row = 0; row < count; row++, rows.at += rows.stride) {
        uint8_t *own = to + row / 2 * 2 * bytes + row % 2 * 8;
        for (int k = 0; k < bytes; k += 8) memcpy(own + 2 * k, rows.at + k, 8);
    }
    return (struct rows){to, bytes};
}

/* Sums of one gate for `pairs` pairs of rows, at most two. A product has two rows of two units, of
 * eight inputs, whose weights are neighbours in this tier. */
TIER INLINE void rows_neoni8mm(const struct product *m, int gate, int row, int pairs) {
    const uint8_t *x = m->rows.at + row * m->rows.stride;
    const int8_t *tile = m->tiles + gate * m->pitch;
    int32x4_t sums[2][8];
    for (int i = 0; i < pairs; i++)
        for (int v = 0; v < 8; v++) sums[i][v] = vdupq_n_s32(0);
    for (int k = 0; k < m->fours; k += 2, x += 16, tile += 8 * LANES) {
        uint8x16_t two[2];
        for (int i = 0; i < pairs; i++) two[i] = vld1q_u8(x + 2 * i * m->rows.stride);
        for (int v = 0; v < 8; v++) {
            const int8x16_t w = vld1q_s8(tile + 16 * v);
            for (int i = 0; i < pairs; i++) sums[i][v] = vusmmlaq_s32(sums[i][v], two[i], w);
        }
    }
    for (int i = 0; i < 2 * pairs && row + i < m->count; i++)
        for (int v = 0; v < 4; v++) {
            const int64x2_t a = vreinterpretq_s64_s32(sums[i / 2][2 * v]);
            const int64x2_t b = vreinterpretq_s64_s32(sums[i / 2][2 * v + 1]);
            int32x4_t own = vreinterpretq_s32_s64(i % 2 ? vzip2q_s64(a, b) : vzip1q_s64(a, b));
            if (m->from) own = vaddq_s32(own, vld1q_s32(start_from(m, row + i, gate) + 4 * v));
            vst1q_s32(m->sums + (row + i) * m->sums_stride + gate * LANES + 4 * v, own);
        }
}

TIER static void product_neoni8mm(const struct product *m) {
    for (int g = 0; g < m->gates; g++)
        for (int row = 0; row < m->count; row += 4) {
            if (m->count - row <= 2) rows_neoni8mm(m, m->which[g], row, 1);
            else rows_neoni8mm(m, m->which[g], row, 2);
        }
}

#define NAME(x) x##_neoni8mm
#define WIDTH 4
#define MINIMUM(a, b) vminq_f32(a, b)
#define MAXIMUM(a, b) vmaxq_f32(a, b)
#define QUOTIENT(a, b) ((a) / (b))
#define FUSED(a, b, c) vfmaq_f32(c, a, b)
#define STORE_BYTES(p, v) bytes_neon(p, v)
#define FINISH product_neoni8mm
#define PREPARE prepare_neoni8mm
#include "tier.h"

const struct tier tier_neoni8mm = {direction_neoni8mm, tags_neoni8mm, attend_neoni8mm, NULL, NULL, NULL};
#endif
#endif
