/* Malformed UPDATEs, by the rows of the malformed-input table that concern the decoder: the exact reaction, what is
 * left of the routes, and who is to blame. */
#include "bgp/codec/update.h"

#include "tests/unit/bgp/stable.h"
#include "tests/unit/bgp/update_bodies.h"

#define AD BGP_ATTR_DISCARD
#define TAW BGP_TREAT_AS_WITHDRAW
#define AFI BGP_AFI_DISABLE
#define RESET BGP_RESET

/* What is left: announced or withdrawn runs. */
#define UP4 "+4"
#define DOWN4 "-4"

static struct arena arena;

static const struct bad {
	const char *row;
	unsigned options;
	const char *withdrawn, *attrs, *nlri;
	enum bgp_action action;
	uint8_t subcode, attr;
	const char *runs; /* "-4+6"; NULL after a reset */
} rows[] = {
    {"15: prefix longer than 32", 0, "", IBGP, "21 0a00000000", RESET, 10, 0, NULL},
    {"15: prefix cut short", 0, "", IBGP, NLRI "18 0a01", RESET, 10, 0, NULL},
    {"15: path identifier cut short", OPT_ADD4, "", IBGP, "000000", RESET, 10, 0, NULL},
    {"15: withdrawn prefix longer than 32", 0, "ff", IBGP, NLRI, RESET, 10, 0, NULL},
    {"15: withdrawn prefix cut short", 0, "08", "", "", RESET, 10, 0, NULL},
    {"15 and 21: the stronger wins", 0, "", "40 01 01 03" PATH NEXT_HOP LOCAL_PREF, "21 0a00000000", RESET, 10, 0,
     NULL},

    {"16: attribute overrun", 0, "", IBGP "c0 08 05 fde90001", NLRI, TAW, 1, 8, DOWN4},
    {"16: extended attribute overrun", 0, "", IBGP "d0 08 ffff fde90001", NLRI, TAW, 1, 8, DOWN4},
    {"16: one octet left", 0, "", IBGP "40", NLRI, TAW, 1, 0, DOWN4},
    {"16: two octets left", 0, "", IBGP "c0 08", NLRI, TAW, 1, 8, DOWN4},
    {"16: three octets left, extended", 0, "", IBGP "d0 08 00", NLRI, TAW, 1, 8, DOWN4},
    {"16: withdrawn and announced alike go", 0, "18 0a0103", IBGP "40", NLRI, TAW, 1, 0, "-4-4"},
    {"16: unknown attribute overrun", 0, "", IBGP "c0 80 02 00", NLRI, TAW, 1, 128, DOWN4},
    {"16: the overrun may hide the MP routes", 0, "", IBGP "80 0e 30 0002 01 10", NLRI, RESET, 9, 14, NULL},
    {"16: or the withdrawn ones", 0, "", IBGP "80 0f 30 0002 01 10", NLRI, RESET, 9, 15, NULL},

    {"17: ORIGIN optional", 0, "", "c0 01 01 00" PATH NEXT_HOP LOCAL_PREF, NLRI, TAW, 4, 1, DOWN4},
    {"17: LOCAL_PREF optional, eBGP", OPT_EBGP, "", EBGP "c0 05 04 00000064", NLRI, TAW, 4, 5, DOWN4},
    {"17: ATOMIC_AGGREGATE optional", 0, "", IBGP "c0 06 00", NLRI, TAW, 4, 6, DOWN4},

    {"18: MED twice", 0, "", IBGP "80 04 04 00000007 80 04 04 00000008", NLRI, AD, 1, 4, UP4},
    {"18: the second one malformed", 0, "", IBGP "80 04 04 00000007 80 04 03 000008", NLRI, AD, 1, 4, UP4},
    {"18: ORIGIN twice", 0, "", IBGP "40 01 01 02", NLRI, AD, 1, 1, UP4},
    {"18: unknown attribute twice", 0, "", IBGP "c0 80 01 00 c0 80 01 01", NLRI, AD, 1, 128, UP4},
    {"19: MP_REACH twice", 0, "", REACH6 REACH6 IBGP, NLRI, RESET, 1, 14, NULL},
    {"19: MP_UNREACH twice", 0, "", UNREACH6 IBGP UNREACH6, NLRI, RESET, 1, 15, NULL},

    {"20: no ORIGIN", 0, "", PATH NEXT_HOP LOCAL_PREF, NLRI, TAW, 3, 1, DOWN4},
    {"20: no AS_PATH", 0, "", ORIGIN NEXT_HOP LOCAL_PREF, NLRI, TAW, 3, 2, DOWN4},
    {"20: no NEXT_HOP", 0, "", ORIGIN PATH LOCAL_PREF, NLRI, TAW, 3, 3, DOWN4},
    {"20: no LOCAL_PREF", 0, "", ORIGIN PATH NEXT_HOP, NLRI, TAW, 3, 5, DOWN4},
    {"20: no attribute at all", 0, "", "", NLRI, TAW, 3, 1, DOWN4},
    {"20: IPv6 without ORIGIN", 0, "", REACH6 PATH LOCAL_PREF, "", TAW, 3, 1, "-6"},
    {"20: IPv6 without LOCAL_PREF", 0, "", REACH6 ORIGIN PATH, "", TAW, 3, 5, "-6"},
    {"20: MP_REACH's next hop is not the NLRI field's", 0, "", REACH6 ORIGIN PATH LOCAL_PREF, NLRI, TAW, 3, 3, "-4-6"},

    {"21: ORIGIN of length 0", 0, "", "40 01 00" PATH NEXT_HOP LOCAL_PREF, NLRI, TAW, 5, 1, DOWN4},
    {"21: ORIGIN of length 2", 0, "", "40 01 02 0000" PATH NEXT_HOP LOCAL_PREF, NLRI, TAW, 5, 1, DOWN4},
    {"21: ORIGIN 3", 0, "", "40 01 01 03" PATH NEXT_HOP LOCAL_PREF, NLRI, TAW, 6, 1, DOWN4},

    {"22: segment type 0", 0, "", ORIGIN "40 02 06 0001 0000fde9" NEXT_HOP LOCAL_PREF, NLRI, TAW, 11, 2, DOWN4},
    {"22: segment type 5", 0, "", ORIGIN "40 02 06 0501 0000fde9" NEXT_HOP LOCAL_PREF, NLRI, TAW, 11, 2, DOWN4},
    {"22: confederation segment, eBGP", OPT_EBGP, "", ORIGIN "40 02 06 0301 0000fde9" NEXT_HOP, NLRI, TAW, 11, 2,
     DOWN4},
    {"22: segment of length 0", 0, "", ORIGIN "40 02 08 0200 0201 0000fde9" NEXT_HOP LOCAL_PREF, NLRI, TAW, 11, 2,
     DOWN4},
    {"22: segment overrun", 0, "", ORIGIN "40 02 06 0202 0000fde9" NEXT_HOP LOCAL_PREF, NLRI, TAW, 11, 2, DOWN4},
    {"22: half a segment header", 0, "", ORIGIN "40 02 07 0201 0000fde9 02" NEXT_HOP LOCAL_PREF, NLRI, TAW, 11, 2,
     DOWN4},
    {"22: 4-octet path from an old peer", OPT_OLD, "", IBGP, NLRI, TAW, 11, 2, DOWN4},
    {"22: first AS", OPT_EBGP | OPT_FIRST, "", ORIGIN "40 02 06 0201 0000fdea" NEXT_HOP, NLRI, TAW, 11, 2, DOWN4},
    {"22: first AS of an empty path", OPT_EBGP | OPT_FIRST, "", ORIGIN "40 02 00" NEXT_HOP, NLRI, TAW, 11, 2, DOWN4},
    {"23: AS 0", 0, "", ORIGIN "40 02 0a 0202 0000fde9 00000000" NEXT_HOP LOCAL_PREF, NLRI, TAW, 11, 2, DOWN4},
    {"23: AS 0 in AS4_PATH", OPT_OLD, "", ORIGIN PATH_OLD NEXT_HOP LOCAL_PREF "c0 11 06 0201 00000000", NLRI, AD, 9, 17,
     UP4},
    {"23: AS 0 in AS4_AGGREGATOR", OPT_OLD, "", ORIGIN PATH_OLD NEXT_HOP LOCAL_PREF "c0 12 08 00000000 0a000001", NLRI,
     AD, 9, 18, UP4},
    {"24: AS_SET", 0, "", ORIGIN "40 02 0c 0201 0000fde9 0101 0000fdea" NEXT_HOP LOCAL_PREF, NLRI, TAW, 11, 2, DOWN4},
    {"24: AS_CONFED_SET", 0, "", ORIGIN "40 02 06 0401 0000fde9" NEXT_HOP LOCAL_PREF, NLRI, TAW, 11, 2, DOWN4},
    {"24: AS_SET in AS4_PATH", OPT_OLD, "", ORIGIN PATH_OLD NEXT_HOP LOCAL_PREF "c0 11 06 0101 0001117d", NLRI, TAW, 9,
     17, DOWN4},
    {"24: AS_CONFED_SET in AS4_PATH", OPT_OLD, "", ORIGIN PATH_OLD NEXT_HOP LOCAL_PREF "c0 11 06 0401 0001117d", NLRI,
     TAW, 9, 17, DOWN4},

    {"25: NEXT_HOP of length 3", 0, "", ORIGIN PATH LOCAL_PREF "40 03 03 0a0000", NLRI, TAW, 5, 3, DOWN4},
    {"25: NEXT_HOP of length 16", 0, "", ORIGIN PATH LOCAL_PREF "40 03 10" NH6, NLRI, TAW, 5, 3, DOWN4},
    {"25: NEXT_HOP of length 0", 0, "", ORIGIN PATH LOCAL_PREF "40 03 00", NLRI, TAW, 5, 3, DOWN4},
    {"25: 0.0.0.0", 0, "", ORIGIN PATH LOCAL_PREF "40 03 04 00000000", NLRI, TAW, 8, 3, DOWN4},
    {"25: 127.0.0.1", 0, "", ORIGIN PATH LOCAL_PREF "40 03 04 7f000001", NLRI, TAW, 8, 3, DOWN4},
    {"25: 224.0.0.5", 0, "", ORIGIN PATH LOCAL_PREF "40 03 04 e0000005", NLRI, TAW, 8, 3, DOWN4},
    {"25: 255.255.255.255", 0, "", ORIGIN PATH LOCAL_PREF "40 03 04 ffffffff", NLRI, TAW, 8, 3, DOWN4},
    {"25: ff02::1 in MP_REACH", 0, "",
     "80 0e 1a 0002 01 10 ff020000 00000000 00000000 00000001 00 20 20010db8" ORIGIN PATH LOCAL_PREF, "", TAW, 8, 14,
     "-6"},
    {"26: MED of length 3", 0, "", IBGP "80 04 03 000000", NLRI, TAW, 5, 4, DOWN4},
    {"26: MED of length 0", 0, "", IBGP "80 04 00", NLRI, TAW, 5, 4, DOWN4},
    {"27: LOCAL_PREF, eBGP", OPT_EBGP, "", EBGP LOCAL_PREF, NLRI, AD, 1, 5, UP4},
    {"27: LOCAL_PREF of length 3, eBGP", OPT_EBGP, "", EBGP "40 05 03 000064", NLRI, AD, 1, 5, UP4},
    {"27: LOCAL_PREF of length 3, iBGP", 0, "", EBGP "40 05 03 000064", NLRI, TAW, 5, 5, DOWN4},
    {"28: ATOMIC_AGGREGATE of length 1", 0, "", IBGP "40 06 01 00", NLRI, AD, 5, 6, UP4},
    {"29: AGGREGATOR of length 6", 0, "", IBGP "c0 07 06 fde9 0a000001", NLRI, AD, 9, 7, UP4},
    {"29: AGGREGATOR of length 8, old peer", OPT_OLD, "",
     ORIGIN PATH_OLD NEXT_HOP LOCAL_PREF "c0 07 08 0000fde9 0a000001", NLRI, AD, 9, 7, UP4},
    {"29: AGGREGATOR of length 7", 0, "", IBGP "c0 07 07 00fde9 0a000001", NLRI, AD, 5, 7, UP4},
    {"29: AGGREGATOR of length 0", 0, "", IBGP "c0 07 00", NLRI, AD, 5, 7, UP4},
    {"29: AGGREGATOR with AS 0", 0, "", IBGP "c0 07 08 00000000 0a000001", NLRI, AD, 9, 7, UP4},
    {"30: COMMUNITIES of length 0", 0, "", IBGP "c0 08 00", NLRI, TAW, 5, 8, DOWN4},
    {"30: COMMUNITIES of length 5", 0, "", IBGP "c0 08 05 fde9000100", NLRI, TAW, 5, 8, DOWN4},
    {"31: ORIGINATOR_ID of length 5, iBGP", 0, "", IBGP "80 09 05 0a00000100", NLRI, TAW, 5, 9, DOWN4},
    {"31: ORIGINATOR_ID of length 0, iBGP", 0, "", IBGP "80 09 00", NLRI, TAW, 5, 9, DOWN4},
    {"31: ORIGINATOR_ID of length 5, eBGP", OPT_EBGP, "", EBGP "80 09 05 0a00000100", NLRI, AD, 9, 9, UP4},
    {"31: ORIGINATOR_ID, eBGP", OPT_EBGP, "", EBGP "80 09 04 0a000001", NLRI, AD, 9, 9, UP4},
    {"32: CLUSTER_LIST of length 6, iBGP", 0, "", IBGP "80 0a 06 0a0000010a00", NLRI, TAW, 5, 10, DOWN4},
    {"32: CLUSTER_LIST of length 0, iBGP", 0, "", IBGP "80 0a 00", NLRI, TAW, 5, 10, DOWN4},
    {"32: CLUSTER_LIST of length 6, eBGP", OPT_EBGP, "", EBGP "80 0a 06 0a0000010a00", NLRI, AD, 9, 10, UP4},
    {"33: EXTENDED COMMUNITIES of length 0", 0, "", IBGP "c0 10 00", NLRI, TAW, 5, 16, DOWN4},
    {"33: EXTENDED COMMUNITIES of length 9", 0, "", IBGP "c0 10 09 0002fde90000006400", NLRI, TAW, 5, 16, DOWN4},
    {"34: IPv6 EXTENDED COMMUNITIES of length 0", 0, "", IBGP "c0 19 00", NLRI, TAW, 5, 25, DOWN4},
    {"34: IPv6 EXTENDED COMMUNITIES of length 16", 0, "", IBGP "c0 19 10" NH6, NLRI, TAW, 5, 25, DOWN4},
    {"35: LARGE_COMMUNITY of length 0", 0, "", IBGP "c0 20 00", NLRI, TAW, 5, 32, DOWN4},
    {"35: LARGE_COMMUNITY of length 8", 0, "", IBGP "c0 20 08 0000fde900000001", NLRI, TAW, 5, 32, DOWN4},
    {"36: AS4_PATH from an AS4 peer", 0, "", IBGP "c0 11 06 0201 0001117d", NLRI, AD, 9, 17, UP4},
    {"36: AS4_PATH with a set from an AS4 peer", 0, "", IBGP "c0 11 06 0101 0001117d", NLRI, AD, 9, 17, UP4},
    {"36: AS4_AGGREGATOR from an AS4 peer", 0, "", IBGP "c0 12 08 0001117d 0a000001", NLRI, AD, 9, 18, UP4},
    {"36: AS4_PATH overrun", OPT_OLD, "", ORIGIN PATH_OLD NEXT_HOP LOCAL_PREF "c0 11 06 0202 0001117d", NLRI, AD, 9, 17,
     UP4},
    {"36: AS4_PATH segment of length 0", OPT_OLD, "", "c0 11 08 0200 0201 0001117d" ORIGIN PATH_OLD NEXT_HOP LOCAL_PREF,
     NLRI, AD, 9, 17, UP4},
    {"36: AS4_PATH segment type", OPT_OLD, "", "c0 11 06 0901 0001117d" ORIGIN PATH_OLD NEXT_HOP LOCAL_PREF, NLRI, AD,
     9, 17, UP4},
    {"36: AS4_PATH of length 0", OPT_OLD, "", "c0 11 00" ORIGIN PATH_OLD NEXT_HOP LOCAL_PREF, NLRI, AD, 5, 17, UP4},
    {"36: AS4_PATH of length 7", OPT_OLD, "", "c0 11 07 0201 0001117d 00" ORIGIN PATH_OLD NEXT_HOP LOCAL_PREF, NLRI, AD,
     5, 17, UP4},
    {"36: AS4_AGGREGATOR of length 6", OPT_OLD, "", ORIGIN PATH_OLD NEXT_HOP LOCAL_PREF "c0 12 06 fde9 0a000001", NLRI,
     AD, 5, 18, UP4},
    {"37: OTC of length 3", 0, "", IBGP "c0 23 03 00fde9", NLRI, TAW, 5, 35, DOWN4},
    {"37: OTC of length 0", 0, "", IBGP "c0 23 00", NLRI, TAW, 5, 35, DOWN4},
    {"38: AIGP TLV of a wrong length", 0, "", IBGP "80 1a 0a 01000a 00000000000010", NLRI, AD, 9, 26, UP4},
    {"38: AIGP TLV overrun", 0, "", IBGP "80 1a 04 02000500", NLRI, AD, 9, 26, UP4},
    {"38: AIGP TLV of length 2", 0, "", IBGP "80 1a 03 020002", NLRI, AD, 9, 26, UP4},
    {"38: AIGP of length 0", 0, "", IBGP "80 1a 00", NLRI, AD, 5, 26, UP4},
    {"38: AIGP transitive", 0, "", IBGP "c0 1a 0b 01000b 0000000000000010", NLRI, AD, 4, 26, UP4},
    {"38: Prefix-SID label index of length 6", 0, "", IBGP "c0 28 09 010006 000000000001", NLRI, AD, 9, 40, UP4},
    {"38: Prefix-SID SRGB of length 7", 0, "", IBGP "c0 28 0a 030007 00000000000001", NLRI, AD, 9, 40, UP4},
    {"38: Prefix-SID SRGB of length 9", 0, "", IBGP "c0 28 0c 030009 000000000000000001", NLRI, AD, 9, 40, UP4},
    {"38: Prefix-SID TLV overrun", 0, "", IBGP "c0 28 04 05000200", NLRI, AD, 9, 40, UP4},

    {"39: MP_REACH of length 2", 0, "", "80 0e 02 0002" IBGP, NLRI, RESET, 9, 14, NULL},
    {"39: MP_REACH of length 0", 0, "", "80 0e 00" IBGP, NLRI, RESET, 9, 14, NULL},
    {"39: MP_REACH of length 4", 0, "", "80 0e 04 0002 01 00" IBGP, NLRI, AFI, 9, 14, UP4},
    {"39: MP_REACH without room for the reserved octet", 0, "", "80 0e 14 0002 01 10 " NH6 IBGP, NLRI, AFI, 9, 14, UP4},
    {"39: next hop longer than the attribute", 0, "", "80 0e 0a 0002 01 ff 0a0000010a00" IBGP, NLRI, AFI, 9, 14, UP4},
    {"39: next hop of 4 octets for IPv6", 0, "", "80 0e 0e 0002 01 04 0a000001 00 20 20010db8" IBGP, NLRI, AFI, 9, 14,
     UP4},
    {"39: next hop of 24 octets", 0, "", "80 0e 22 0002 01 18 0000000000000000" NH6 "00 20 20010db8" IBGP, NLRI, AFI, 9,
     14, UP4},
    {"39: next hop of 0 octets", 0, "", "80 0e 0a 0002 01 00 00 20 20010db8" IBGP, NLRI, AFI, 9, 14, UP4},
    {"39: IPv6 next hop of IPv4, not negotiated", 0, "",
     "80 0e 19 0001 01 10 " NH6 "00 18 0a0102" ORIGIN PATH LOCAL_PREF, "", AFI, 9, 14, ""},
    {"39: prefix longer than 128", 0, "",
     "80 0e 27 0002 01 10 " NH6 "00 81 20010db8 00000000 00000000 00000000 00" IBGP, NLRI, AFI, 9, 14, UP4},
    {"39: IPv4 prefix longer than 32", 0, "", "80 0e 0f 0001 01 04 0a000001 00 21 0a00000000" ORIGIN PATH LOCAL_PREF,
     "", AFI, 9, 14, ""},
    {"39: prefix cut short", 0, "", "80 0e 19 0002 01 10 " NH6 "00 20 20010d" IBGP, NLRI, AFI, 9, 14, UP4},
    {"39: path identifier cut short", OPT_ADD6, "", "80 0e 17 0002 01 10 " NH6 "00 0000" IBGP, NLRI, AFI, 9, 14, UP4},
    {"39: flags", 0, "", "c0 0e 1a 0002 01 10 " NH6 "00 20 20010db8 " IBGP, NLRI, AFI, 9, 14, UP4},
    {"39: well-known", 0, "", "40 0e 1a 0002 01 10 " NH6 "00 20 20010db8 " IBGP, NLRI, AFI, 9, 14, UP4},
    {"39: alone with its attributes", 0, "", "80 0e 19 0002 01 10 " NH6 "00 20 20010d" ORIGIN PATH LOCAL_PREF, "", AFI,
     9, 14, ""},
    {"39: the family's other runs go with it", 0, "", "80 0e 19 0002 01 10 " NH6 "00 20 20010d" UNREACH6 IBGP, NLRI,
     AFI, 9, 14, UP4},
    {"39 and 21: the other family is withdrawn", 0, "",
     "80 0e 19 0002 01 10 " NH6 "00 20 20010d 40 01 01 03" PATH NEXT_HOP LOCAL_PREF, NLRI, AFI, 9, 14, DOWN4},
    {"40: MP_UNREACH of length 2", 0, "", "80 0f 02 0002" IBGP, NLRI, RESET, 9, 15, NULL},
    {"40: prefix longer than 128", 0, "", "80 0f 04 0002 01 ff", "", AFI, 9, 15, ""},
    {"40: prefix cut short", 0, "", "80 0f 05 0002 01 20 20" IBGP, NLRI, AFI, 9, 15, UP4},
    {"40: flags", 0, "", "c0 0f 08 0002 01 20 20010db9", "", AFI, 9, 15, ""},
    {"40: the announced ones are of the same family", 0, "", "80 0f 05 0001 01 20 20" IBGP, NLRI, AFI, 9, 15, ""},

    {"41: bad ORIGIN, nothing announced", 0, "", "40 01 01 03" PATH, "", RESET, 6, 1, NULL},
    {"41: bad ORIGIN, only withdrawn", 0, NLRI, "40 01 01 03", "", RESET, 6, 1, NULL},
    {"41: bad ORIGIN beside MP_UNREACH", 0, "", UNREACH6 "40 01 01 03", "", RESET, 6, 1, NULL},
    {"41: MP_REACH without routes", 0, "", "80 0e 15 0002 01 10 " NH6 "00 40 01 01 03", "", RESET, 6, 1, NULL},
    {"41: broken MP_UNREACH with other attributes", 0, "", "80 0f 05 0002 01 20 20" ORIGIN, "", RESET, 9, 15, NULL},
    {"41: overrun, nothing announced", 0, "", "40 01 05 00", "", RESET, 1, 1, NULL},
    {"41: overrun of one octet", 0, NLRI, "40", "", RESET, 1, 0, NULL},
    {"41: attribute discard is no reason", 0, NLRI, "40 06 01 00", "", AD, 5, 6, "-4"},
    {"41: MP_REACH of a family given up does announce", OPT_IGN6, "", REACH6 "40 01 01 03", "", TAW, 6, 1, ""},

    {"42: unknown well-known attribute", 0, "", IBGP "40 80 01 07", NLRI, RESET, 2, 128, NULL},
    {"42: attribute 0", 0, "", IBGP "40 00 00", NLRI, RESET, 2, 0, NULL},

    {"a family that was not negotiated", OPT_ONLY4, "", REACH6 IBGP, NLRI, AD, 9, 14, UP4},
    {"a family nobody here knows", 0, "", "80 0e 05 0019 46 00 00" IBGP, NLRI, AD, 9, 14, UP4},
    {"a family nobody here knows, withdrawn", 0, "", "80 0f 05 0001 80 ffff" IBGP, NLRI, AD, 9, 15, UP4},
    {"AIGP from another AS (RFC 7311 3.4)", OPT_EBGP, "", EBGP "80 1a 0b 01000b 0000000000000010", NLRI, AD, 9, 26,
     UP4},
    {"Prefix-SID from another AS (RFC 8669 5)", OPT_EBGP, "", EBGP "c0 28 0a 010007 00000000000001", NLRI, AD, 9, 40,
     UP4},
};

static void describe(struct strbuf *out, const struct bgp_update *u)
{
	strbuf_puts(out, "");
	for (unsigned i = 0; i < u->runs; i++)
		strbuf_printf(out, "%c%c", u->run[i].reach ? '+' : '-', u->run[i].family == FAM_IPV6 ? '6' : '4');
}

START_TEST(test_row)
{
	const struct bad *b = &rows[_i];
	struct bgp_codec codec = stable_codec(b->options);
	uint8_t room[1024];
	struct wr w = wr_make(room, sizeof room);
	struct span body = exact_copy(update_body(&w, b->withdrawn, b->attrs, b->nlri));
	struct strbuf runs = {0};
	struct bgp_update u;
	struct bgp_error err = bgp_update_decode(&u, rd_span(body), &codec, &arena);
	const char *wrong;
	int id = bgp_attr_by_code(b->attr);

	ck_assert_msg(err.action == b->action, "%s: action %d, %s", b->row, err.action, err.reason);
	ck_assert_msg(err.code == BGP_ERR_UPDATE && err.subcode == b->subcode, "%s: %u/%u", b->row, err.code,
		      err.subcode);
	ck_assert_msg(err.attr == b->attr, "%s: attribute %u", b->row, err.attr);
	ck_assert_ptr_nonnull(err.reason);
	/* What is shown lies inside the message, or is one of our own constants. */
	ck_assert(err.data.len <= body.len);
	if (b->runs) {
		describe(&runs, &u);
		ck_assert_msg(strcmp(runs.s, b->runs) == 0, "%s: %s", b->row, runs.s);
		ck_assert_int_eq(u.end_of_rib, -1);
		ck_assert_msg(err.action != AD || id < 0 || err.subcode == 1 || !bgp_attrs_have(&u.attrs, id),
			      "%s: not discarded", b->row);
	}
	ck_assert_msg((err.action == AFI) == (b->runs && u.disable), "%s: disable", b->row);
	wrong = stable_update(body, &codec);
	ck_assert_msg(!wrong, "%s: %s", b->row, wrong);
	strbuf_free(&runs);
	span_free(body);
	arena_reset(&arena);
}
END_TEST

/* Row 14, and bodies too short for their two lengths (row 2 keeps those away). */
static const char *const lengths[] = {"",
				      "00",
				      "0000",
				      "0000 00",
				      "0001 0000",
				      "0000 0001",
				      "0004 0a01 0000",
				      "0000 0005 40010100",
				      "ffff 0000 0000",
				      "0000 ffff"};

START_TEST(test_row_14)
{
	struct bgp_codec codec = stable_codec(0);
	uint8_t room[64];
	struct wr w = wr_make(room, sizeof room);
	struct bgp_update u;
	struct bgp_error err;
	struct span body;

	wr_hex(&w, lengths[_i]);
	body = exact_copy(wr_span(&w));
	err = bgp_update_decode(&u, rd_span(body), &codec, &arena);
	ck_assert_int_eq(err.action, BGP_RESET);
	ck_assert_uint_eq(err.code, BGP_ERR_UPDATE);
	ck_assert_uint_eq(err.subcode, 1);
	span_free(body);
}
END_TEST

/* Row 17 (39 and 40 for the MP attributes), each row of the table and each way to have the two flags wrong. */
START_TEST(test_wrong_flags)
{
	const struct bgp_attr_row *row = &bgp_attr_table[_i];

	for (unsigned flip = 1; flip < 4; flip++) {
		struct bgp_codec codec = stable_codec(0);
		uint8_t room[256];
		struct wr w = wr_make(room, sizeof room);
		struct wr_mark attrs;
		struct bgp_error err;
		struct bgp_update u;

		wr_u16(&w, 0);
		attrs = wr_mark16(&w);
		wr_u8(&w, row->flags ^ (uint8_t)(flip << 6));
		wr_u8(&w, row->code);
		wr_hex(&w, "08 0002 01 00 00000000"); /* a family for those that have one */
		wr_hex(&w, _i == BA_ORIGIN ? "" : ORIGIN);
		wr_hex(&w, _i == BA_AS_PATH ? "" : PATH);
		wr_hex(&w, _i == BA_NEXT_HOP ? "" : NEXT_HOP);
		wr_hex(&w, _i == BA_LOCAL_PREF ? "" : LOCAL_PREF);
		wr_close16(&w, attrs);
		wr_hex(&w, NLRI);
		err = bgp_update_decode(&u, rd_span(wr_span(&w)), &codec, &arena);
		ck_assert_msg(err.action == row->wrong_flags, "%s: action %d", row->name, err.action);
		ck_assert_uint_eq(err.attr, row->code);
		ck_assert(!bgp_attrs_have(&u.attrs, (enum bgp_attr_id)_i));
		ck_assert_int_eq(row->wrong_flags, _i == BA_AIGP			      ? BGP_ATTR_DISCARD
						   : _i == BA_MP_REACH || _i == BA_MP_UNREACH ? BGP_AFI_DISABLE
											      : BGP_TREAT_AS_WITHDRAW);
	}
}
END_TEST

/* Row 16: every known attribute of zero length, except those that may have it, as its own row says. */
START_TEST(test_zero_length)
{
	const struct bgp_attr_row *row = &bgp_attr_table[_i];
	enum bgp_action want = row->min_len ? row->malformed_ibgp : BGP_OK;
	struct bgp_codec codec = stable_codec(_i == BA_AS4_PATH || _i == BA_AS4_AGGREGATOR ? OPT_OLD : 0);
	uint8_t room[256];
	struct wr w = wr_make(room, sizeof room);
	struct wr_mark attrs;
	struct bgp_error err;
	struct bgp_update u;

	if (want == BGP_AFI_DISABLE)
		want = BGP_RESET; /* there is no family to be read */
	wr_u16(&w, 0);
	attrs = wr_mark16(&w);
	wr_u8(&w, row->flags);
	wr_u8(&w, row->code);
	wr_u8(&w, 0);
	wr_hex(&w, _i == BA_ORIGIN ? "" : ORIGIN);
	wr_hex(&w, _i == BA_AS_PATH ? "" : codec.as4 ? PATH : PATH_OLD);
	wr_hex(&w, _i == BA_NEXT_HOP ? "" : NEXT_HOP);
	wr_hex(&w, _i == BA_LOCAL_PREF ? "" : LOCAL_PREF);
	wr_close16(&w, attrs);
	wr_hex(&w, NLRI);
	err = bgp_update_decode(&u, rd_span(wr_span(&w)), &codec, &arena);
	ck_assert_msg(err.action == want, "%s: action %d, %s", row->name, err.action, err.reason);
	ck_assert_int_eq(want == BGP_OK, _i == BA_AS_PATH || _i == BA_ATOMIC_AGGREGATE);
}
END_TEST

/* Row 18: of two, the first is kept. */
START_TEST(test_first_of_two)
{
	struct bgp_codec codec = stable_codec(0);
	uint8_t room[256], canonical[512];
	struct wr w = wr_make(room, sizeof room), c = wr_make(canonical, sizeof canonical);
	struct bgp_update u;

	update_body(&w, "", IBGP "80 04 04 00000007 80 04 04 00000008 c0 80 01 01 c0 80 01 02", NLRI);
	ck_assert_int_eq(bgp_update_decode(&u, rd_span(wr_span(&w)), &codec, &arena).action, AD);
	ck_assert_uint_eq(u.attrs.med, 7);
	ck_hex_eq(stable_canonical(&u.attrs, &c), ORIGIN PATH "80 04 04 00000007" LOCAL_PREF "e0 80 01 01", "first");
	arena_reset(&arena);
}
END_TEST

/* The whole attribute is what a NOTIFICATION about it carries (RFC 4271 6.3). */
START_TEST(test_blame)
{
	struct bgp_codec codec = stable_codec(0);
	uint8_t room[256];
	struct wr w = wr_make(room, sizeof room);
	struct bgp_update u;
	struct bgp_error err;

	update_body(&w, "", IBGP "40 80 01 07", NLRI);
	err = bgp_update_decode(&u, rd_span(wr_span(&w)), &codec, &arena);
	ck_hex_eq(err.data, "40 80 01 07", "unknown well-known");
	wr_undo(&w, 0);
	update_body(&w, "", PATH NEXT_HOP LOCAL_PREF, NLRI);
	err = bgp_update_decode(&u, rd_span(wr_span(&w)), &codec, &arena);
	ck_hex_eq(err.data, "01", "missing");
	wr_undo(&w, 0);
	update_body(&w, "", "50 01 0002 0000" PATH NEXT_HOP LOCAL_PREF, NLRI);
	err = bgp_update_decode(&u, rd_span(wr_span(&w)), &codec, &arena);
	ck_hex_eq(err.data, "50 01 0002 0000", "wrong length");
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

int main(void)
{
	Suite *s = suite_create("update_bad");
	TCase *tc = tcase_create("rows");

	tcase_add_loop_test(tc, test_row, 0, COUNT(rows));
	tcase_add_loop_test(tc, test_row_14, 0, COUNT(lengths));
	tcase_add_loop_test(tc, test_wrong_flags, 0, BA_COUNT);
	tcase_add_loop_test(tc, test_zero_length, 0, BA_COUNT);
	tcase_add_test(tc, test_first_of_two);
	tcase_add_test(tc, test_blame);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
