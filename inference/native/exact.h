/* Included first where sums must be the same on every processor: a product and a sum round as two
 * operations there. */

#ifndef TAGBELT_EXACT_H
#define TAGBELT_EXACT_H

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#endif
