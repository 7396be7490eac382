/* BFD control packets: every check of the table, round trips, truncations and mutations. */
#include "bgp/bfd/codec.h"

#include <bsd/stdlib.h>

#include "tests/unit/bgp/bytes.h"

/* Version 1, diag 3, Up, Poll, C bit; multiplier 3; 24 octets; 50 ms, 60 ms, no echo. */
#define GOOD "23 e8 03 18 11223344 55667788 0000c350 0000ea60 00000000"

static struct span from_hex(const char *hex)
{
	uint8_t bytes[512];
	struct wr w = wr_make(bytes, sizeof bytes);

	wr_hex(&w, hex);
	ck_assert(!w.bad);
	return exact_copy(wr_span(&w));
}

static enum bfd_discard decode_hex(const char *hex, struct bfd_arrival *a)
{
	struct span s = from_hex(hex);
	enum bfd_discard why = bfd_decode(s, a);

	span_free(s);
	return why;
}

START_TEST(test_fields)
{
	struct bfd_arrival a = {0};
	const struct bfd_packet *p = &a.packet;

	ck_assert_int_eq(decode_hex(GOOD, &a), BFD_ACCEPTED);
	ck_assert_uint_eq(a.payload, 24);
	ck_assert_uint_eq(p->version, 1);
	ck_assert_uint_eq(p->diag, BFD_DIAG_NEIGHBOR);
	ck_assert_uint_eq(p->state, BFD_UP);
	ck_assert(p->poll && !p->final && p->independent && !p->auth && !p->demand && !p->multipoint);
	ck_assert_uint_eq(p->multiplier, 3);
	ck_assert_uint_eq(p->length, 24);
	ck_assert_uint_eq(p->my_discr, 0x11223344);
	ck_assert_uint_eq(p->your_discr, 0x55667788);
	ck_assert_uint_eq(p->min_tx, 50000);
	ck_assert_uint_eq(p->min_rx, 60000);
	ck_assert_uint_eq(p->min_echo_rx, 0);
}
END_TEST

/* One bit each, so that none stands for another. */
START_TEST(test_flags)
{
	static const struct {
		uint8_t octet;
		size_t at; /* of the bool that it sets */
	} flags[] = {
	    {0x20, offsetof(struct bfd_packet, poll)},	      {0x10, offsetof(struct bfd_packet, final)},
	    {0x08, offsetof(struct bfd_packet, independent)}, {0x04, offsetof(struct bfd_packet, auth)},
	    {0x02, offsetof(struct bfd_packet, demand)},      {0x01, offsetof(struct bfd_packet, multipoint)},
	};

	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		struct span s = from_hex("20 40 03 1a 00000001 00000000 000f4240 000f4240 00000000 0000");
		struct bfd_arrival a = {0};

		((uint8_t *)(uintptr_t)s.p)[1] |= flags[i].octet;
		bfd_decode(s, &a);
		for (size_t k = 0; k < sizeof flags / sizeof flags[0]; k++)
			ck_assert_int_eq(*((const bool *)&a.packet + flags[k].at), k == i);
		ck_assert_uint_eq(a.packet.state, BFD_DOWN);
		span_free(s);
	}
}
END_TEST

/* The checks that need the octets only; each row breaks one thing. */
static const struct {
	const char *hex;
	enum bfd_discard why;
} packets[] = {
    {GOOD, BFD_ACCEPTED},
    /* longer datagrams are fine, the rest is nobody's */
    {GOOD "ffff", BFD_ACCEPTED},
    /* so is a Length of more than 24 without authentication */
    {"23 e8 03 1a 11223344 55667788 0000c350 0000ea60 00000000 0000", BFD_ACCEPTED},
    {"", BFD_TRUNCATED},
    {"23 e8 03 18 11223344 55667788 0000c350 0000ea60 000000", BFD_TRUNCATED},
    {"03 e8 03 18 11223344 55667788 0000c350 0000ea60 00000000", BFD_BAD_VERSION},
    {"43 e8 03 18 11223344 55667788 0000c350 0000ea60 00000000", BFD_BAD_VERSION},
    {"e3 e8 03 18 11223344 55667788 0000c350 0000ea60 00000000", BFD_BAD_VERSION},
    {"23 e8 03 17 11223344 55667788 0000c350 0000ea60 00000000", BFD_BAD_LENGTH},
    {"23 e8 03 00 11223344 55667788 0000c350 0000ea60 00000000", BFD_BAD_LENGTH},
    /* authenticated, and not even room for type and length */
    {"23 ec 03 19 11223344 55667788 0000c350 0000ea60 00000000 0000", BFD_BAD_LENGTH},
    {"23 e8 03 19 11223344 55667788 0000c350 0000ea60 00000000", BFD_LENGTH_BEYOND},
    {"23 e8 03 ff 11223344 55667788 0000c350 0000ea60 00000000", BFD_LENGTH_BEYOND},
    {"23 e8 00 18 11223344 55667788 0000c350 0000ea60 00000000", BFD_NO_MULTIPLIER},
    {"23 e9 03 18 11223344 55667788 0000c350 0000ea60 00000000", BFD_MULTIPOINT},
    {"23 e8 03 18 00000000 55667788 0000c350 0000ea60 00000000", BFD_NO_MY_DISCR},
    /* without Your Discriminator: Up and Init are wrong, Down and AdminDown are how it begins */
    {"20 c0 03 18 11223344 00000000 0000c350 0000ea60 00000000", BFD_STATE_WITHOUT_DISCR},
    {"20 80 03 18 11223344 00000000 0000c350 0000ea60 00000000", BFD_STATE_WITHOUT_DISCR},
    {"20 40 03 18 11223344 00000000 0000c350 0000ea60 00000000", BFD_ACCEPTED},
    {"20 00 03 18 11223344 00000000 0000c350 0000ea60 00000000", BFD_ACCEPTED},
    /* simple password "secret" */
    {"23 ec 03 21 11223344 55667788 0000c350 0000ea60 00000000 01 09 01 736563726574", BFD_AUTHENTICATED},
};

START_TEST(test_packets)
{
	struct bfd_arrival a = {0};

	enum bfd_discard why = decode_hex(packets[_i].hex, &a);

	ck_assert_msg(why == packets[_i].why, "%s: %s", packets[_i].hex, bfd_discard_text(why));
}
END_TEST

/* The checks that need more: a single hop and several, and who it is for. */
static const struct {
	uint32_t your_discr;
	int ttl, min_ttl;
	bool found, bound;
	uint32_t ifindex, session_ifindex;
	enum bfd_discard why;
} arrivals[] = {
    {7, 255, 255, true, false, 4, 0, BFD_ACCEPTED},
    {0, 255, 255, true, false, 4, 0, BFD_ACCEPTED},
    {7, 255, 255, true, true, 4, 4, BFD_ACCEPTED},
    {7, 254, 255, true, false, 4, 0, BFD_LOW_TTL},
    {7, 0, 255, true, false, 4, 0, BFD_LOW_TTL},
    /* the kernel did not say: not taken for granted */
    {7, -1, 255, true, false, 4, 0, BFD_LOW_TTL},
    {7, -1, 0, true, false, 4, 0, BFD_LOW_TTL},
    {7, 250, 250, true, false, 4, 0, BFD_ACCEPTED},
    {7, 249, 250, true, false, 4, 0, BFD_LOW_TTL},
    {7, 1, 0, true, false, 4, 0, BFD_ACCEPTED},
    {7, 255, 255, false, false, 4, 0, BFD_UNKNOWN_DISCR},
    {0, 255, 255, false, false, 4, 0, BFD_UNKNOWN_SOURCE},
    {7, 255, 255, true, true, 5, 4, BFD_WRONG_INTERFACE},
    /* its interface does not exist now */
    {7, 255, 255, true, true, 5, 0, BFD_WRONG_INTERFACE},
};

START_TEST(test_arrivals)
{
	struct bfd_arrival a = {
	    .packet = {.your_discr = arrivals[_i].your_discr},
	    .ttl = arrivals[_i].ttl,
	    .min_ttl = arrivals[_i].min_ttl,
	    .found = arrivals[_i].found,
	    .bound = arrivals[_i].bound,
	    .ifindex = arrivals[_i].ifindex,
	    .session_ifindex = arrivals[_i].session_ifindex,
	};

	ck_assert_int_eq(bfd_admit(&a), arrivals[_i].why);
}
END_TEST

/* No reason without a row above, and none without a text of its own. */
START_TEST(test_every_reason)
{
	for (int why = 0; why < BFD_DISCARD_COUNT; why++) {
		bool seen = false;

		for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++)
			seen = seen || (int)packets[i].why == why;
		for (size_t i = 0; i < sizeof arrivals / sizeof arrivals[0]; i++)
			seen = seen || (int)arrivals[i].why == why;
		ck_assert_msg(seen, "no packet is discarded because %s", bfd_discard_text((enum bfd_discard)why));
		for (int other = 0; other < why; other++)
			ck_assert_str_ne(bfd_discard_text((enum bfd_discard)why),
					 bfd_discard_text((enum bfd_discard)other));
	}
}
END_TEST

START_TEST(test_truncations)
{
	for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
		struct span whole = from_hex(packets[i].hex);

		for (size_t len = 0; len < whole.len && len < BFD_PACKET_LEN; len++) {
			struct span cut = exact_copy((struct span){whole.p, len});
			struct bfd_arrival a;

			ck_assert_int_eq(bfd_decode(cut, &a), BFD_TRUNCATED);
			ck_assert_uint_eq(a.payload, len);
			span_free(cut);
		}
		span_free(whole);
	}
}
END_TEST

static void check_stable(struct span s)
{
	struct bfd_arrival a, b;
	uint8_t bytes[BFD_PACKET_LEN];
	struct wr w = wr_make(bytes, sizeof bytes);

	if (bfd_decode(s, &a) != BFD_ACCEPTED)
		return;
	ck_assert_uint_ge(s.len, BFD_PACKET_LEN);
	ck_assert_uint_ge(s.len, a.packet.length);
	ck_assert_uint_ne(a.packet.my_discr, 0);
	ck_assert_uint_ne(a.packet.multiplier, 0);
	bfd_encode(&w, &a.packet);
	ck_assert(!w.bad);
	ck_assert_uint_eq(wr_len(&w), BFD_PACKET_LEN);
	ck_assert_int_eq(bfd_decode(wr_span(&w), &b), BFD_ACCEPTED);
	/* All but Length is what it was, octet by octet. */
	bytes[3] = s.p[3];
	ck_assert_mem_eq(bytes, s.p, BFD_PACKET_LEN);
}

START_TEST(test_every_octet_every_value)
{
	struct span good = from_hex(GOOD);

	for (size_t at = 0; at < good.len; at++) {
		for (unsigned v = 0; v < 256; v++) {
			struct span bent = exact_copy(good);

			((uint8_t *)(uintptr_t)bent.p)[at] = (uint8_t)v;
			check_stable(bent);
			span_free(bent);
		}
	}
	span_free(good);
}
END_TEST

START_TEST(test_mutations)
{
	for (int round = 0; round < 200000; round++) {
		uint8_t bytes[40];
		size_t len = arc4random_uniform(sizeof bytes + 1);
		struct span s;

		arc4random_buf(bytes, sizeof bytes);
		/* Half of them get far. */
		if (round % 2) {
			bytes[0] = (uint8_t)(0x20 | (bytes[0] & 0x1f));
			bytes[1] &= 0xfa;
			bytes[3] = 24;
		}
		s = exact_copy((struct span){bytes, len});
		check_stable(s);
		span_free(s);
	}
}
END_TEST

START_TEST(test_encode)
{
	struct bfd_packet p = {
	    .version = 7, /* not taken from here */
	    .length = 99,
	    .auth = true,
	    .multipoint = true,
	    .diag = BFD_DIAG_NEIGHBOR,
	    .state = BFD_UP,
	    .poll = true,
	    .independent = true,
	    .multiplier = 3,
	    .my_discr = 0x11223344,
	    .your_discr = 0x55667788,
	    .min_tx = 50000,
	    .min_rx = 60000,
	};
	uint8_t bytes[BFD_PACKET_LEN];
	struct wr w = wr_make(bytes, sizeof bytes), small = wr_make(bytes, sizeof bytes - 1);
	struct span want = from_hex(GOOD);

	bfd_encode(&w, &p);
	ck_span_eq(wr_span(&w), want, "packet");
	bfd_encode(&small, &p);
	ck_assert(small.bad);
	span_free(want);
}
END_TEST

START_TEST(test_names)
{
	for (int s = 0; s < BFD_STATE_COUNT; s++)
		ck_assert_ptr_nonnull(bfd_state_name((enum bfd_state)s));
	for (unsigned d = 0; d < BFD_DIAG_COUNT; d++)
		ck_assert_str_ne(bfd_diag_name((uint8_t)d), "reserved");
	for (unsigned d = BFD_DIAG_COUNT; d < 256; d++)
		ck_assert_str_eq(bfd_diag_name((uint8_t)d), "reserved");
	ck_assert_str_eq(bfd_diag_name(BFD_DIAG_TIMEOUT), "Control Detection Time Expired");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bfd codec");
	TCase *t = tcase_create("codec");
	SRunner *sr;
	int failures;

	tcase_add_test(t, test_fields);
	tcase_add_test(t, test_flags);
	tcase_add_loop_test(t, test_packets, 0, sizeof packets / sizeof packets[0]);
	tcase_add_loop_test(t, test_arrivals, 0, sizeof arrivals / sizeof arrivals[0]);
	tcase_add_test(t, test_every_reason);
	tcase_add_test(t, test_truncations);
	tcase_add_test(t, test_every_octet_every_value);
	tcase_add_test(t, test_mutations);
	tcase_add_test(t, test_encode);
	tcase_add_test(t, test_names);
	suite_add_tcase(suite, t);
	sr = srunner_create(suite);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
