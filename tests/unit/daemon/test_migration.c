/* Live migration: at which priority a workload's address is announced and routed, from its coming to its rest. */
#include "daemon/cluster/migration.h"

#include "daemon/base/mono.h"

#include "tests/unit/daemon/store_rig.h"

#define NODE(name) DOC("Node", name, "spec: {bgp: {ipv4Address: 192.0.2.1/24}}")
#define WORKLOAD(migration)                                                                                       \
	"---\n{apiVersion: projectcalico.org/v3, kind: WorkloadEndpoint, metadata: {name: a-k8s-vm-eth0}, spec: " \
	"{node: a, interfaceName: cali0123456789a, ipNetworks: [10.244.2.7/32, 'fd00:244::7/128']" migration "}}\n"
#define BORROWED                                                                                                       \
	DOC("IPAMBlock", "10-244-2-0-26",                                                                              \
	    "spec: {cidr: 10.244.2.0/26, affinity: 'host:b', allocations: [null, null, null, null, null, null, null, " \
	    "0],"                                                                                                      \
	    " attributes: [{secondary: {node: a}}]}")

static void on_route(void *arg, const struct rib_view *v)
{
	*(uint32_t *)arg = v->route.attrs->local_pref;
}

/* LOCAL_PREF of our own route, 0 if there is none; and the kernel's metric of the workload's, -1 likewise. */
static void expect(struct daemon *d, const char *prefix, uint32_t local_pref, int64_t metric)
{
	struct fib_view v;
	struct prefix p;
	uint32_t have = 0;
	int64_t have_metric = -1;
	uint64_t pos = 0;

	turn(d);
	ck_assert(prefix_parse(&p, prefix));
	rib_show_prefix(d->rib, &p, on_route, &have);
	ck_assert_msg(have == local_pref, "%s has LOCAL_PREF %u, not %u", prefix, have, local_pref);
	while (fib_next(d->fib, &pos, &v))
		if (prefix_equal(&v.prefix, &p) && v.class == FIB_WORKLOAD)
			have_metric = v.metric;
	ck_assert_msg(have_metric == metric, "%s has metric %ld, not %ld", prefix, (long)have_metric, (long)metric);
}

START_TEST(test_target)
{
	struct daemon *d = start();

	put(d, NODE("a") NODE("b") BORROWED WORKLOAD(", liveMigration: Target"));
	store_synced(d->store);
	/* Not here yet, though IPAM says that the address is. */
	expect(d, "10.244.2.7/32", 0, -1);
	expect(d, "fd00:244::7/128", 0, -1);
	/* It comes, and outranks what leads to where it was: 2147483647 - 512. */
	put(d, WORKLOAD(", liveMigration: Live"));
	expect(d, "10.244.2.7/32", 2147483135, 512);
	expect(d, "fd00:244::7/128", 2147483135, 512);
	put(d, WORKLOAD(", liveMigration: TimeWait"));
	expect(d, "10.244.2.7/32", 2147483135, 512);
	/* It is an ordinary one. */
	put(d, WORKLOAD(""));
	expect(d, "10.244.2.7/32", 2147482623, 1024);
	expect(d, "fd00:244::7/128", 2147482623, 1024);
	store_delete(d->store, OBJ_WORKLOAD_ENDPOINT, "default", "a-k8s-vm-eth0");
	/* The address is still in use here, says IPAM. */
	expect(d, "10.244.2.7/32", 2147482623, -1);
	expect(d, "fd00:244::7/128", 0, -1);
	daemon_free(d);
}
END_TEST

START_TEST(test_priorities)
{
	struct daemon *d;

	setenv("FELIX_IPV4ELEVATEDROUTEPRIORITY", "100", 1);
	setenv("FELIX_IPV6ELEVATEDROUTEPRIORITY", "200", 1);
	d = start();
	put(d, NODE("a") DOC("BGPConfiguration", "default", "spec: {ipv4NormalRoutePriority: 300}")
		   WORKLOAD(", liveMigration: Live"));
	store_synced(d->store);
	expect(d, "10.244.2.7/32", 2147483547, 100);
	expect(d, "fd00:244::7/128", 2147483447, 200);
	put(d, WORKLOAD(", liveMigration: Base"));
	expect(d, "10.244.2.7/32", 2147483347, 300);
	expect(d, "fd00:244::7/128", 2147482623, 1024);
	daemon_free(d);
}
END_TEST

static void expect_within(struct daemon *d, const char *prefix, uint32_t local_pref, uint64_t time)
{
	uint64_t until = mono_now() + time;
	uint32_t have = 0;
	struct prefix p;

	ck_assert(prefix_parse(&p, prefix));
	do {
		loop_turn(d->loop, false);
		usleep(1000);
		have = 0;
		rib_show_prefix(d->rib, &p, on_route, &have);
	} while (have != local_pref && mono_now() < until);
	ck_assert_msg(have == local_pref, "%s has LOCAL_PREF %u, not %u", prefix, have, local_pref);
}

/* Where nobody says more than Target: when that is over it has come, and others are given the time to learn of it. */
START_TEST(test_time_wait)
{
	struct daemon *d;

	setenv("FELIX_LIVEMIGRATIONROUTECONVERGENCETIME", "1s", 1);
	d = start();
	put(d, NODE("a") WORKLOAD(", liveMigration: Target"));
	store_synced(d->store);
	expect(d, "10.244.2.7/32", 0, -1);
	/* Other changes of the object are none of the migration. */
	put(d, WORKLOAD(", liveMigration: Target, pod: vm"));
	expect(d, "10.244.2.7/32", 0, -1);
	put(d, WORKLOAD(""));
	expect(d, "10.244.2.7/32", 2147483135, 512);
	expect_within(d, "10.244.2.7/32", 2147482623, 30 * MONO_SEC);
	expect(d, "10.244.2.7/32", 2147482623, 1024);
	/* An object that says it has waited long enough when it has, too. */
	put(d, WORKLOAD(", liveMigration: TimeWait"));
	expect(d, "fd00:244::7/128", 2147483135, 512);
	expect_within(d, "fd00:244::7/128", 2147482623, 30 * MONO_SEC);
	put(d, WORKLOAD(", liveMigration: TimeWait, pod: vm"));
	expect(d, "fd00:244::7/128", 2147482623, 1024);
	/* It migrates once more before it has settled, and goes. */
	put(d, WORKLOAD(", liveMigration: Target"));
	expect(d, "fd00:244::7/128", 0, -1);
	put(d, WORKLOAD(""));
	put(d, WORKLOAD(", liveMigration: Target"));
	expect(d, "fd00:244::7/128", 0, -1);
	put(d, WORKLOAD(""));
	store_delete(d->store, OBJ_WORKLOAD_ENDPOINT, "default", "a-k8s-vm-eth0");
	expect(d, "fd00:244::7/128", 0, -1);
	put(d, WORKLOAD(", liveMigration: Target"));
	daemon_free(d);
	unsetenv("FELIX_LIVEMIGRATIONROUTECONVERGENCETIME");
}
END_TEST

/* A packet of 28 octets: sender and target by their last octet, of 10.244.2.0/24. */
static bool heard(bool arp, uint8_t sender, uint8_t target, size_t len, int broken)
{
	struct prefix network;
	const struct obj_workload_endpoint w = {.networks = &network, .network_count = 1};
	uint8_t packet[28] = {0, 1, 8, 0, 6, 4, 0, 1};

	ck_assert(prefix_parse(&network, "10.244.2.7/32"));
	memcpy(packet + 14, (uint8_t[]){10, 244, 2, sender}, 4);
	memcpy(packet + 24, (uint8_t[]){10, 244, 2, target}, 4);
	if (broken >= 0)
		packet[broken] ^= 0x10;
	return migration_is_heard(&w, arp, packet, len);
}

START_TEST(test_what_is_heard)
{
	ck_assert(heard(true, 7, 7, 28, -1));
	/* Who asks for somebody else may be anybody, and another address is another workload's. */
	ck_assert(!heard(true, 7, 1, 28, -1));
	ck_assert(!heard(true, 8, 8, 28, -1));
	ck_assert(heard(false, 0, 0, 28, -1));
	for (size_t len = 0; len < 28; len++)
		ck_assert(!heard(true, 7, 7, len, -1) && !heard(false, 7, 7, len, -1));
	for (int i = 0; i < 6; i++)
		ck_assert(!heard(true, 7, 7, 28, i) && !heard(false, 7, 7, 28, i));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("migration");
	TCase *t = tcase_create("migration");
	SRunner *sr;
	int failures;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_target);
	tcase_add_test(t, test_priorities);
	tcase_add_test(t, test_time_wait);
	tcase_add_test(t, test_what_is_heard);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
