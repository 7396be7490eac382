/* Routes by gateways: direct, onlink, recursive, several; and what happens when the way changes. */
#include "tests/unit/fib/net.h"

START_TEST(direct_gateway)
{
	struct net *n = net_new();

	net_start(n);
	set_via(n, "10.1.0.0/26", 1024, "10.0.0.2");
	set_via(n, "fd01::/122", 1024, "fd00::2");
	WAIT_ROUTES(n, "10.1.0.0/26", "10.1.0.0/26 via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	WAIT_ROUTES(n, "fd01::/122", "fd01::/122 via fd00::2 dev eth0 proto 186 metric 1024 onlink");
	net_settle(n);
	ck_assert_str_eq(explain(n, "10.1.0.1").route, "via 10.0.0.2 dev eth0 proto 186 metric 1024 onlink");
	net_free(n);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		direct_gateway,
	};

	return net_run("fib/via", tests, sizeof tests / sizeof *tests);
}
