/* Routes that come to lead over another interface: policies that ask for it decide anew, in both directions, and what
 * they change on the way changes, too, though the route itself is the same. */
#include "tests/unit/rib/inbox.h"

#define P "10.1.0.0/26"

/* Over eth0 a community, over eth1 another one; over anything else it is rejected. */
static struct policy *by_interface(void)
{
	static const struct policy_op first = {OP_ADD_COMMUNITY, {65000u << 16 | 1}},
				      second = {OP_ADD_COMMUNITY, {65000u << 16 | 2}};
	const struct policy_rule rules[] = {
	    {.interface = "eth0", .action = RULE_ACCEPT, .ops = &first, .op_count = 1},
	    {.interface = "eth1", .action = RULE_ACCEPT, .ops = &second, .op_count = 1},
	};

	return policy_new("by interface", rules, 2, RULE_REJECT);
}

static void begin(const char *interface)
{
	rig_begin();
	rig.interface = interface;
	for (int f = 0; f < FAM_COUNT; f++)
		rib_release(rig.rib, (enum family)f);
}

static void move_to(const char *interface)
{
	rig.interface = interface;
	rib_interfaces_changed(rig.rib);
	rig_settle();
}

/* The community that the peer has the prefix with: 0 none, -1 the prefix is not there. */
static int community(struct inbox *in)
{
	const struct heard *h;

	inbox_drain(in);
	h = inbox_at(in, P);
	return h->there ? (int)(h->said.communities[0] & 0xffff) : -1;
}

static struct inbox *receiver(struct rib_peer_conf conf, bool add_path)
{
	struct rib_peer *p = rib_peer_new(rig.rib, &conf, NULL);
	struct bgp_codec codec = peer_codec(p);
	struct inbox *in;

	codec.add_path_tx = add_path ? BOTH : 0;
	peer_up_with(p, &codec);
	in = inbox_new(p);
	in->codec = codec;
	inbox_drain(in);
	return in;
}

/* _i: the source is a peer, or this node; without and with several paths. */
START_TEST(test_export)
{
	struct rib_peer_conf conf = peer_conf(2, true);
	struct prefix local = prefix_of(P);
	bool ours = _i & 1, paths = _i & 2;
	struct rib_peer *source;
	struct inbox *in;
	unsigned messages;

	begin("eth0");
	source = peer_add(1, true);
	conf.export = by_interface();
	in = receiver(conf, paths);
	policy_unref(conf.export);
	if (ours)
		rib_local_set(rig.rib, &local, SOURCE_SERVICE, 1024);
	else
		announce(source, P, (struct spec){.path = {65001}});
	rig_settle();
	if (paths) {
		inbox_drain(in);
		ck_assert(strstr(in->log, "+" P));
		messages = in->messages;
		move_to("eth1");
		inbox_drain(in);
		ck_assert_uint_eq(in->messages, messages + 1);
		move_to("eth1");
		inbox_drain(in);
		ck_assert_uint_eq(in->messages, messages + 1);
	} else {
		ck_assert_int_eq(community(in), 1);
		move_to("eth1");
		ck_assert_int_eq(community(in), 2);
		messages = in->messages;
		/* The same once more says nothing. */
		move_to("eth1");
		ck_assert_int_eq(community(in), 2);
		ck_assert_uint_eq(in->messages, messages);
		move_to("eth2");
		ck_assert_int_eq(community(in), -1);
		move_to("eth0");
		ck_assert_int_eq(community(in), 1);
	}
	inbox_free(in);
	rig_end();
}
END_TEST

START_TEST(test_import)
{
	struct rib_peer_conf conf = peer_conf(1, true);
	struct rib_peer *source;
	struct inbox *in;

	begin("eth0");
	conf.import = by_interface();
	source = rib_peer_new(rig.rib, &conf, NULL);
	policy_unref(conf.import);
	peer_up(source);
	in = receiver(peer_conf(2, true), false);
	announce(source, P, (struct spec){.path = {65001}});
	rig_settle();
	ck_assert_int_eq(community(in), 1);
	move_to("eth1");
	ck_assert_int_eq(community(in), 2);
	move_to("eth2");
	ck_assert_int_eq(community(in), -1);
	move_to("eth0");
	ck_assert_int_eq(community(in), 1);
	inbox_free(in);
	rig_end();
}
END_TEST

/* What is remembered of a route that was sent is its whole kind: rules for it hold when it is encoded, too. */
START_TEST(test_kinds)
{
	static const struct policy_op op = {OP_ADD_COMMUNITY, {65000u << 16 | 7}};
	const struct policy_rule rule = {
	    .sources = (uint8_t)(1u << _i), .action = RULE_ACCEPT, .ops = &op, .op_count = 1};
	struct rib_peer_conf conf = peer_conf(2, true);
	struct prefix p = prefix_of(P);
	struct inbox *in;

	begin(NULL);
	conf.export = policy_new("by kind", &rule, 1, RULE_ACCEPT);
	in = receiver(conf, false);
	policy_unref(conf.export);
	rib_local_set(rig.rib, &p, (enum route_source)_i, 1024);
	rig_settle();
	ck_assert_int_eq(community(in), 7);
	inbox_free(in);
	rig_end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("interfaces");

	tcase_add_loop_test(tc, test_export, 0, 4);
	tcase_add_test(tc, test_import);
	tcase_add_loop_test(tc, test_kinds, SOURCE_BLOCK, SOURCE_COUNT);
	return run_suite(tc, "interfaces");
}
