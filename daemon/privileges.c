#include "daemon/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool keep_capabilities(void)
{
	const uint32_t wanted = 1u << CAP_NET_ADMIN | 1u << CAP_NET_BIND_SERVICE | 1u << CAP_NET_RAW;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) != 0)
		return false;
	data[0].permitted &= wanted;
	data[0].effective = data[0].permitted;
	data[0].inheritable = 0;
	memset(&data[1], 0, sizeof data[1]);
	return syscall(SYS_capset, &header, data) == 0;
}

bool privileges_drop(const char *user, char *err, size_t err_size)
{
	const struct passwd *pw = getpwnam(user);
	const char *step;

	if (!pw) {
		snprintf(err, err_size, "user \"%s\" does not exist: create it, or leave `user` empty", user);
		return false;
	}
	step = "keep capabilities";
	if (prctl(PR_SET_KEEPCAPS, 1) != 0)
		goto failed;
	step = "set groups";
	if (initgroups(pw->pw_name, pw->pw_gid) != 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0)
		goto failed;
	step = "set the user";
	if (setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0)
		goto failed;
	step = "set capabilities";
	if (!keep_capabilities())
		goto failed;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return true;
failed:
	snprintf(err, err_size, "cannot become user \"%s\": %s: %s", user, step, strerror(errno));
	return false;
}
