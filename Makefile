# Calidris: `make help` lists the targets. One non-recursive file; a directory's *.c become its library, so adding a
# source file or a test needs no line here.

VERSION := 0.1.0
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= cc
CFLAGS  ?= -O2 -g
PYTHON  ?= /usr/bin/python3
# WERROR=1 makes warnings errors (CI does); SAN=address,undefined builds with sanitizers; FUZZ=1 for the fuzzers (clang).
WERROR  ?=
SAN     ?=
FUZZ    ?=
# What `make unit|lint|fuzz|check` is narrowed to: a regular expression over the names they print.
ONLY    ?=
FUZZ_SECONDS ?= 60

PKGS      := libnl-3.0 libnl-route-3.0 yaml-0.1 libbsd
# What the plugin for remote datastores alone needs.
REMOTE_PKGS := libcurl jansson
STD       := -std=gnu11
WARN      := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings \
             -Wundef -Wvla -Wformat=2 -Wno-missing-field-initializers $(if $(WERROR),-Werror)
HARDEN    := -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
SANFLAGS  := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
# The same programs wherever they are built.
SAME      := -ffile-prefix-map=$(CURDIR)=.
ALL_CFLAGS := $(STD) -D_GNU_SOURCE -I. -DCALIDRIS_VERSION='"$(VERSION)"' $(WARN) $(HARDEN) $(SANFLAGS) \
             $(if $(FUZZ),-fsanitize=fuzzer-no-link) $(CFLAGS) $(SAME)
# The daemon is optimized as a whole where the compiler can: a tenth less time for a million routes. Tests link the same
# objects one by one. LTO= does without.
ifeq ($(origin LTO)$(SAN)$(FUZZ),undefined)
LTO := $(shell echo 'int x;' | $(CC) -Werror -flto=auto -ffat-lto-objects -x c -c -o /dev/null - 2>/dev/null && \
	echo '-flto=auto -ffat-lto-objects -Wa,--debug-prefix-map=$(CURDIR)=.')
endif
ALL_CFLAGS += $(LTO)
WHOLE_LDFLAGS := $(SANFLAGS) -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LTO) $(SAME) $(LDFLAGS)
ALL_LDFLAGS := $(patsubst -flto%,-fno-lto,$(WHOLE_LDFLAGS))

# Libraries, from what uses others to what stands alone: the link order is the dependency order of docs/architecture.md.
DIRS := daemon datastore fib rib bgp/session bgp/bfd bgp/bmp bgp/mrt bgp/codec daemon/base
lib   = $(BUILD)/lib$(subst /,-,$(1)).a
LIBRARIES := $(foreach d,$(DIRS),$(call lib,$(d)))
# In a plugin, not in the daemon: a node that reads files holds none of it in memory.
REMOTE := datastore/remote
PLUGIN := $(BUILD)/datastore-remote.so
# The two programs' main files are not part of any library.
MAINS := daemon/main.c daemon/client/client.c

# The joints in daemon/ know each other: its folders are one library, but for the base.
ROOMS := $(filter-out daemon/base,$(patsubst %/,%,$(sort $(dir $(wildcard daemon/*/*.c)))))
folders = $(1) $(if $(filter daemon,$(1)),$(ROOMS))
objects = $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(MAINS),$(wildcard $(addsuffix /*.c,$(call folders,$(1))))))
programs = $(patsubst %.c,$(BUILD)/%,$(wildcard $(1)))
ALL_OBJECTS := $(foreach d,$(DIRS) $(REMOTE),$(call objects,$(d)))
UNIT_TESTS := $(call programs,tests/unit/*/test_*.c tests/unit/*/*/test_*.c)
FUZZERS := $(call programs,tests/fuzz/fuzz_*.c)
BENCHES := $(call programs,tests/bench/bench_*.c)
TOOLS := $(call programs,tests/tools/*.c)
# The benchmarks' load generator shares no code with the daemon.
LOADS := $(addprefix $(BUILD)/tests/bench/load/,bgp_load bgp_floor bgp_late)

.PHONY: all
all: $(BUILD)/calidrisd $(BUILD)/calidris $(PLUGIN) ## Build the daemon, its client and its plugin

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14
	@echo
	@echo 'Variables: BUILD CC CFLAGS LTO= WERROR=1 SAN=address,undefined ONLY=PATTERN FUZZ_SECONDS=60 KEEP=1 PREFIX DESTDIR'

# The libraries' flags, found once; making this file installs the packages that are missing. Whoever only cleans up or asks
# for help does not need it.
ifneq ($(filter-out clean help dist lint,$(or $(MAKECMDGOALS),all)),)
$(BUILD)/packages.mk: .ci/install-packages Makefile
	@.ci/install-packages build
	@mkdir -p $(@D)
	@{ echo "ALL_CFLAGS += $$(pkg-config --cflags $(PKGS))" && echo "LIBS := -lev $$(pkg-config --libs $(PKGS))" && \
		echo "REMOTE_CFLAGS := $$(pkg-config --cflags $(REMOTE_PKGS))" && \
		echo "REMOTE_LIBS := $$(pkg-config --libs $(REMOTE_PKGS)) -lresolv"; } >$@
-include $(BUILD)/packages.mk
endif

$(BUILD)/calidrisd: $(BUILD)/daemon/main.o $(LIBRARIES) $(BUILD)/exports.list
	$(CC) $(WHOLE_LDFLAGS) -Wl,--dynamic-list=$(BUILD)/exports.list -o $@ $< $(LIBRARIES) $(LIBS)
# The daemon exports what the plugin uses of it, and nothing else.
$(BUILD)/exports.list: $(call lib,$(REMOTE))
	{ echo '{'; nm -u -P $< | awk '$$2 == "U" { print $$1 ";" }' | sort -u; echo '};'; } >$@
$(PLUGIN): $(call lib,$(REMOTE))
	$(CC) $(filter-out -pie,$(ALL_LDFLAGS)) -shared -Wl,-soname,$(notdir $@) -o $@ -Wl,--whole-archive $< \
		-Wl,--no-whole-archive $(REMOTE_LIBS)
$(BUILD)/$(REMOTE)/%.o: ALL_CFLAGS += $(REMOTE_CFLAGS) -fPIC -fvisibility=hidden
$(BUILD)/calidris: $(BUILD)/daemon/client/client.o $(BUILD)/daemon/client/client_dump.o $(call lib,daemon/base)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ -lbsd -lev

define library
$(call lib,$(1)): $(call objects,$(1))
	@rm -f $$@
	$(AR) rcs $$@ $$^
endef
$(foreach d,$(DIRS) $(REMOTE),$(eval $(call library,$(d))))

# Other flags or another compiler in the same build directory: everything is compiled again.
FLAGS_NOW := $(CC) $(filter-out -Werror,$(ALL_CFLAGS)) $(ALL_LDFLAGS)
ifneq ($(file <$(BUILD)/flags),$(FLAGS_NOW))
.PHONY: $(BUILD)/flags
endif
$(BUILD)/flags:
	@mkdir -p $(@D)
	$(file >$@,$(FLAGS_NOW))

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# A unit test links its own directory's library and those below it, so that the dependency order is kept there too.
BELOW_base      := daemon/base
BELOW_bgp       := bgp/session bgp/codec daemon/base
BELOW_session   := bgp/session bgp/codec daemon/base
BELOW_bfd       := bgp/bfd daemon/base
BELOW_bmp       := bgp/bmp bgp/codec daemon/base
BELOW_mrt       := bgp/mrt bgp/codec daemon/base
BELOW_rib       := rib bgp/codec daemon/base
BELOW_fib       := fib daemon/base
BELOW_datastore := datastore daemon/base
BELOW_remote    := datastore/remote datastore daemon/base
below = $(foreach d,$(or $(BELOW_$(word 3,$(subst /, ,$(1)))),$(DIRS)),$(call lib,$(d)))
.PHONY: unit-tests fuzzers benches tools
unit-tests: $(UNIT_TESTS)
define unit_test
$(BUILD)/$(1): $(BUILD)/$(1).o $(call below,$(1))
	$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIBS) $$(REMOTE_LIBS) $$(shell pkg-config --libs check)
endef
$(foreach t,$(UNIT_TESTS:$(BUILD)/%=%),$(eval $(call unit_test,$(t))))
fuzzers: $(FUZZERS)
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(call lib,$(REMOTE)) $(LIBRARIES)
	$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS) $(REMOTE_LIBS)
benches: $(BENCHES)
$(BENCHES): %: %.o $(LIBRARIES)
	$(CC) $(ALL_LDFLAGS) -o $@ $< $(LIBRARIES) $(LIBS)

$(LOADS): %: %.o $(BUILD)/tests/bench/load/plan.o $(BUILD)/tests/bench/load/watch.o
	$(CC) $(ALL_LDFLAGS) -o $@ $^

tools: $(TOOLS) $(LOADS)

# What is generated from the configuration's schema and committed; a unit test compares.
.PHONY: docs
docs: $(BUILD)/tests/tools/gen_config ## Generate the example configuration and its manual page from the schema
	$< etc/calidris.yaml docs/calidris.yaml.5
$(BUILD)/tests/tools/%: $(BUILD)/tests/tools/%.o $(LIBRARIES)
	$(CC) $(ALL_LDFLAGS) -o $@ $< $(LIBRARIES) $(LIBS)

.SECONDARY:
-include $(ALL_OBJECTS:.o=.d) $(addsuffix .d,$(UNIT_TESTS) $(FUZZERS) $(BENCHES) $(LOADS) $(TOOLS)) $(BUILD)/daemon/main.d $(BUILD)/daemon/client/client.d

# tests/run.py builds what it runs, in directories of its own under $(BUILD).
RUN = $(PYTHON) -B tests/run.py --build $(BUILD) $(if $(ONLY),--only '$(ONLY)')
.PHONY: check unit lint fuzz net check-packages run-packages
check-packages:
	@.ci/install-packages build run check
run-packages:
	@.ci/install-packages build run
check: check-packages ## Build everything and run every test
	@$(RUN)
unit: check-packages ## Run the unit tests
	@$(RUN) unit
net: check-packages ## Run the system tests
	@$(RUN) net
.PHONY: check-kubernetes
check-kubernetes: check-packages ## Run the Kubernetes datastore's tests against the throw-away cluster KUBECONFIG names
	@+$(MAKE) --no-print-directory all >$(BUILD)/check-kubernetes.log 2>&1 || { cat $(BUILD)/check-kubernetes.log; exit 1; }
	@CALIDRIS_BUILD=$(abspath $(BUILD)) $(PYTHON) -B tests/kube_relay.py
lint: check-packages ## Check the architecture, the format, headers, manual pages and scripts
	@$(RUN) lint
fuzz: check-packages ## Run each fuzzer for FUZZ_SECONDS
	@$(RUN) --seconds $(FUZZ_SECONDS) fuzz

.PHONY: bench
bench: check-packages all benches $(LOADS) ## Run the benchmarks, beside the other daemons that are installed
	@for bench in $(BENCHES); do echo "== $${bench##*/}"; $$bench || exit 1; done
	CALIDRIS_BUILD=$(abspath $(BUILD)) $(PYTHON) -B tests/bench/bench.py --results $(BUILD)/bench.json $(BENCH)

.PHONY: demo demo-packages
demo-packages:
	@.ci/install-packages build run $(if $(IPIP),uml)
demo: demo-packages ## Run a cluster of three nodes and a route reflector in namespaces; KEEP=1 leaves it up, IPIP=1 tunnels
	@+$(MAKE) --no-print-directory all >$(BUILD)/demo-build.log 2>&1 || { cat $(BUILD)/demo-build.log; exit 1; }
	@$(PYTHON) -B tests/demo/demo.py --build $(BUILD) $(if $(KEEP),--keep) $(if $(IPIP),--ipip)

.PHONY: install uninstall
SBINDIR := $(PREFIX)/sbin
BINDIR  := $(PREFIX)/bin
LIBDIR  := $(PREFIX)/lib/calidris
MANDIR  := $(PREFIX)/share/man
DOCDIR  := $(PREFIX)/share/doc/calidris
UNITDIR := $(PREFIX)/lib/systemd/system
SYSUSERSDIR := $(PREFIX)/lib/sysusers.d
CONFDIR := /etc/calidris
MANPAGES := $(wildcard docs/*.[1-8])
EXAMPLES := etc/examples etc/kubernetes etc/reflectors etc/reflectors/cluster
INSTALLED = $(SBINDIR)/calidrisd $(BINDIR)/calidris $(LIBDIR)/datastore-remote.so $(UNITDIR)/calidrisd.service $(SYSUSERSDIR)/calidris.conf \
            $(foreach m,$(MANPAGES),$(MANDIR)/man$(subst .,,$(suffix $(m)))/$(notdir $(m)))
install: all ## Install under DESTDIR and PREFIX; what is in /etc stays as it is
	install -D -m 755 $(BUILD)/calidrisd $(DESTDIR)$(SBINDIR)/calidrisd
	install -D -m 755 $(BUILD)/calidris $(DESTDIR)$(BINDIR)/calidris
	install -D -m 644 $(PLUGIN) $(DESTDIR)$(LIBDIR)/datastore-remote.so
	@mkdir -p $(DESTDIR)$(UNITDIR)
	sed 's|/usr/sbin/|$(SBINDIR)/|' systemd/calidrisd.service >$(DESTDIR)$(UNITDIR)/calidrisd.service
	@chmod 644 $(DESTDIR)$(UNITDIR)/calidrisd.service
	install -D -m 644 systemd/calidris.sysusers $(DESTDIR)$(SYSUSERSDIR)/calidris.conf
	for page in $(MANPAGES); do \
		install -D -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; done
	install -D -m 644 -t $(DESTDIR)$(DOCDIR) etc/calidris.yaml README.md CHANGELOG.md LICENSE
	for dir in $(EXAMPLES); do install -D -m 644 -t $(DESTDIR)$(DOCDIR)/$${dir#etc/} $$dir/*.yaml || exit 1; done
	test -e $(DESTDIR)$(CONFDIR)/calidris.yaml || \
		install -D -m 644 etc/calidris.yaml $(DESTDIR)$(CONFDIR)/calidris.yaml
uninstall: ## Remove what install put there; what is in /etc stays
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	rm -rf $(DESTDIR)$(DOCDIR)
	-rmdir $(DESTDIR)$(LIBDIR)

.PHONY: dist
dist: ## Make the source archive of the last commit
	@mkdir -p $(BUILD)
	git archive --format=tar --prefix=calidris-$(VERSION)/ HEAD | gzip -n >$(BUILD)/calidris-$(VERSION).tar.gz

# The flags of a compilation, for checks and editors.
.PHONY: print-flags
print-flags:
	@echo '$(subst ','\'',$(ALL_CFLAGS))'

.PHONY: clean
clean: ## Remove the build directory
	rm -rf $(BUILD)
