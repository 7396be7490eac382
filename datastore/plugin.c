#include "datastore/plugin.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/mem.h"

/* Where this program is, without a slash at the end; NULL if the kernel does not say. */
static char *own_directory(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	char *slash;

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	slash = strrchr(path, '/');
	return slash ? mem_strndup(path, (size_t)(slash - path)) : NULL;
}

/* The file as it was built, or as it was installed. The caller frees it. */
static char *find_plugin(void)
{
	char *directory = own_directory(), *path;

	if (!directory)
		return mem_strdup(PLUGIN_FILE);
	path = mem_printf("%s/" PLUGIN_FILE, directory);
	if (access(path, F_OK) != 0) {
		free(path);
		path = mem_printf("%s/../lib/calidris/" PLUGIN_FILE, directory);
	}
	free(directory);
	return path;
}

static const struct backend_ops *find_backend(void *plugin, const char *path, const char *type, char *err,
					      size_t err_size)
{
	const char *version = dlsym(plugin, PLUGIN_VERSION_SYMBOL);
	char *symbol = mem_printf("backend_%s", type);
	const struct backend_ops *ops = dlsym(plugin, symbol);

	free(symbol);
	if (!version || strcmp(version, CALIDRIS_VERSION) != 0) {
		snprintf(err, err_size, "%s is of version %s, and this is " CALIDRIS_VERSION "; install them together",
			 path, version ? version : "unknown");
		return NULL;
	}
	if (!ops)
		snprintf(err, err_size, "%s has no datastore of the type %s", path, type);
	return ops;
}

const struct backend_ops *plugin_load(const char *type, char *err, size_t err_size)
{
	char *path = find_plugin();
	void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct backend_ops *ops = NULL;

	/* What dlerror() says names the file or library that is missing. */
	if (plugin)
		ops = find_backend(plugin, path, type, err, err_size);
	else
		snprintf(err, err_size,
			 "the datastore %s needs a plugin that cannot be loaded: %s; it is part of Calidris, and needs "
			 "libcurl and libjansson",
			 type, dlerror());
	free(path);
	return ops;
}
