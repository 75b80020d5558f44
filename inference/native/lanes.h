/* The vectors of one tier: V of LANES doubles, BITS the same bits as whole numbers. The including
 * file undefines all of these at its end, LANES and TIER too. */

#define JOIN(x, y) x##_##y
#define JOINED(x, y) JOIN(x, y)
#define NAME(x) JOINED(x, LANES)
#define V NAME(vector)
#define BITS NAME(bits)

typedef double V __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
typedef int64_t BITS __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

/* score > best ? score : best in each lane, which is what the processor's maximum computes. */
TIER INLINE void NAME(raise)(V *best, V score) {
#if HAVE_TIERS && LANES == 4
    *best = (V)_mm256_max_pd((__m256d)score, (__m256d)*best);
#elif HAVE_TIERS
    *best = (V)_mm_max_pd((__m128d)score, (__m128d)*best);
#else
    const BITS larger = score > *best;
    *best = (V)(((BITS)score & larger) | ((BITS)*best & ~larger));
#endif
}
