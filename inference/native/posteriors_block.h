/* Forward-backward of the rows of one block; see crf.h. */

#include "lanes.h"

/* Numbers whose exponentials are computed side by side: one alone waits for each of its sums. */
#define ABREAST 8

/* x[i] to exp(x[i]), for x <= 0, to a few units in the last place: x = n log 2 + r, and r by its
 * series. What is below 1e-307 may come out as any such number. */
TIER INLINE void NAME(exponentials)(V *x, int count) {
    static const double series[] = {
        1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
        1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      1.0 / 2,     1.0, 1.0};
    const double shift = 0x1.8p52; /* a sum of this size is rounded to a whole number */
    V whole[ABREAST], r[ABREAST], sum[ABREAST];
    for (int i = 0; i < count; i++) {
        V floor = (V){0} - 708.0;
        NAME(raise)(&floor, x[i]);
        whole[i] = floor * 0x1.71547652b82fep0 + shift;
        const V n = whole[i] - shift;
        r[i] = (floor - n * 0x1.62e42fefap-1) - n * 0x1.cf79abc9e3b3ap-40;
        sum[i] = r[i] * (1.0 / 6227020800) + series[0];
    }
#pragma GCC unroll 1 /* else GCC computes one number after the other again */
    for (int term = 1; term < 13; term++)
        for (int i = 0; i < count; i++) sum[i] = sum[i] * r[i] + series[term];
    for (int i = 0; i < count; i++) {
        const BITS power = ((BITS)whole[i] + 1023) << 52; /* the bits of 2^n */
        x[i] = sum[i] * (V)power;
    }
}

/* Fill `local` with exp(emission - the step's largest one); 1 after a row's end, to stay in
 * range. */
TIER INLINE void NAME(load_local)(const struct chart *chart, const struct batch *batch) {
    const size tags = batch->tags;
    V *local = (V *)chart->local;
    memset(local, 0, (size_t)(chart->steps * tags) * sizeof(V));
    for (int row = 0; row < LANES; row++) {
        const float *own = batch->emissions + chart->rows[row] * batch->row_stride;
        double *cell = (double *)local + row;
        for (size step = 0; step < chart->lengths[row]; step++, own += batch->step_stride)
            for (size tag = 0; tag < tags; tag++, cell += LANES) *cell = own[tag];
    }
    V *const end = local + chart->steps * tags;
    for (V *now = local; now < end; now += tags) {
        V peak = now[0];
        for (size tag = 1; tag < tags; tag++) NAME(raise)(&peak, now[tag]);
        for (size tag = 0; tag < tags; tag++) now[tag] -= peak;
    }
    for (; local + ABREAST <= end; local += ABREAST) NAME(exponentials)(local, ABREAST);
    for (; local < end; local++) NAME(exponentials)(local, 1);
}

/* To [K]: for each tag, the sum of `from` [K] at the other ends of its moves times their values. */
TIER INLINE void NAME(sum_moves)(V *to, const V *from, const struct moves *moves) {
    const struct group *const end = moves->groups + moves->group_count;
    for (const struct group *group = moves->groups; group < end; group++) {
        V sum[WIDE] = {0};
        const double *value = group->values;
        for (size move = 0; move < group->moves; move++, value += WIDE) {
            const V other = from[group->others[move]];
            for (int i = 0; i < WIDE; i++) sum[i] += other * value[i];
        }
        for (int i = 0; i < WIDE; i++)
            if (i < group->count) to[group->tags[i]] = sum[i];
    }
}

TIER INLINE void NAME(run_forward)(const struct chart *chart, const struct model *model) {
    const size tags = model->tags;
    V *now = (V *)chart->forward, *local = (V *)chart->local, *scales = (V *)chart->scales;
    for (size step = 0; step < chart->steps; step++, now += tags, local += tags) {
        if (step) NAME(sum_moves)(now, now - tags, &model->into);
        else for (size tag = 0; tag < tags; tag++) now[tag] = (V){0} + model->start[tag];
        V total = {0};
        for (size tag = 0; tag < tags; tag++) {
            now[tag] *= local[tag];
            total += now[tag];
        }
        const V scale = scales[step] = 1.0 / total;
        for (size tag = 0; tag < tags; tag++) {
            now[tag] *= scale;
            local[tag] *= scale;
        }
    }
}

/* Backward scores of the rows that end at a step: what the last tag may end with. */
TIER INLINE void NAME(close_rows)(const struct chart *chart, const struct model *model, size step) {
    const size tags = model->tags;
    for (int row = 0; row < LANES; row++) {
        if (chart->lengths[row] != step + 1) continue;
        const double *forward = chart->forward + step * tags * LANES + row;
        double *backward = chart->backward + step * tags * LANES + row;
        double closing = 0.0;
        for (size tag = 0; tag < tags; tag++) closing += forward[tag * LANES] * model->end[tag];
        for (size tag = 0; tag < tags; tag++) backward[tag * LANES] = model->end[tag] / closing;
    }
}

/* A number that underflowed was below 1e-307, and could still have added to a probability that
 * times a backward score over a scale: next to nothing where the sum of these factors stays in
 * bounds. */
TIER INLINE void NAME(run_backward)(struct chart *chart, const struct model *model, void *room) {
    const size tags = model->tags;
    V *now = (V *)chart->backward + chart->steps * tags, *after = room, factors = {0};
    const V *local = (const V *)chart->local + chart->steps * tags;
    for (size step = chart->steps - 1; step >= 0; step--) {
        now -= tags;
        if (step + 1 < chart->steps) NAME(sum_moves)(now, after, &model->out);
        else memset(now, 0, (size_t)tags * sizeof(V));
        NAME(close_rows)(chart, model, step);
        local -= tags;
        V total = {0};
        for (size tag = 0; tag < tags; tag++) {
            total += now[tag];
            after[tag] = local[tag] * now[tag];
        }
        factors += total * ((const V *)chart->scales)[step];
    }
    for (int row = 0; row < LANES; row++)
        chart->safe[row] = ((const double *)&factors)[row] < 1e290;
}

/* Compute the tables of the rows that the chart names. */
TIER static void NAME(fill)(struct chart *chart, const struct batch *batch,
                              const struct model *model, double *after) {
    chart->steps = 0;
    for (int row = 0; row < LANES; row++)
        if (chart->lengths[row] > chart->steps) chart->steps = chart->lengths[row];
    NAME(load_local)(chart, batch);
    NAME(run_forward)(chart, model);
    NAME(run_backward)(chart, model, after);
}

#undef ABREAST
#undef V
#undef BITS
#undef NAME
#undef JOINED
#undef JOIN
#undef TIER
#undef LANES
