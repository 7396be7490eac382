/* UPDATE bodies put together from hexadecimal fields, and pieces that most of them need. */
#ifndef TESTS_BGP_UPDATE_BODIES_H
#define TESTS_BGP_UPDATE_BODIES_H

#include "tests/unit/bgp/bytes.h"

#define ORIGIN "40 01 01 00 "
#define PATH "40 02 06 0201 0000fde9 "
#define PATH_OLD "40 02 04 0201 fde9 "
#define NEXT_HOP "40 03 04 0a000001 "
#define LOCAL_PREF "40 05 04 00000064 "
#define IBGP ORIGIN PATH NEXT_HOP LOCAL_PREF
#define EBGP ORIGIN PATH NEXT_HOP
#define NLRI "18 0a0102 " /* 10.1.2.0/24 */

#define NH6 "20010db8 00000000 00000000 00000001 "
#define LL6 "fe800000 00000000 00000000 00000001 "
#define REACH6 "80 0e 1a 0002 01 10 " NH6 "00 20 20010db8 " /* 2001:db8::/32 */
#define UNREACH6 "80 0f 08 0002 01 20 20010db9 "	    /* 2001:db9::/32 */

/* The bits of stable_codec(). */
enum {
	OPT_EBGP = 1,
	OPT_OLD = 2,
	OPT_ADD4 = 4,
	OPT_ADD6 = 8,
	OPT_NH6 = 16,
	OPT_ONLY4 = 32,
	OPT_FIRST = 64,
	OPT_IGN6 = 128,
	OPT_LINK = 256 /* over the link of interface 1 */
};

static inline struct span update_body(struct wr *w, const char *withdrawn, const char *attrs, const char *nlri)
{
	struct wr_mark m = wr_mark16(w);

	wr_hex(w, withdrawn);
	wr_close16(w, m);
	m = wr_mark16(w);
	wr_hex(w, attrs);
	wr_close16(w, m);
	wr_hex(w, nlri);
	ck_assert(!w->bad);
	return wr_span(w);
}

#endif
