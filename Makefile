# Calidris: `make help` lists the targets. One non-recursive file; a directory's *.c become its library, so adding a
# source file or a test needs no line here.

VERSION := 0.1.0
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= cc
CFLAGS  ?= -O2 -g
# WERROR=1 makes warnings errors (CI does); SAN=address,undefined builds with sanitizers.
WERROR  ?=
SAN     ?=

PKGS      := libnl-3.0 libnl-route-3.0 yaml-0.1 libbsd
STD       := -std=gnu11
WARN      := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings \
             -Wundef -Wvla -Wformat=2 -Wno-missing-field-initializers $(if $(WERROR),-Werror)
HARDEN    := -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
SANFLAGS  := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
ALL_CFLAGS := $(STD) -D_GNU_SOURCE -I. -DCALIDRIS_VERSION='"$(VERSION)"' $(WARN) $(HARDEN) $(SANFLAGS) $(CFLAGS) \
             -ffile-prefix-map=$(CURDIR)=. $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
ALL_LDFLAGS := $(SANFLAGS) -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
LIBS      := -lev $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CHECK_LIBS := $(shell pkg-config --libs check 2>/dev/null)

# Libraries, from what uses others to what stands alone: the link order is the dependency order of docs/architecture.md.
DIRS := daemon datastore fib rib bgp/session bgp/codec daemon/base
lib   = $(BUILD)/lib$(subst /,-,$(1)).a
LIBRARIES := $(foreach d,$(DIRS),$(call lib,$(d)))
# The two programs' main files are not part of any library.
MAINS := daemon/main.c daemon/client.c

objects = $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(MAINS),$(wildcard $(1)/*.c)))
ALL_OBJECTS := $(foreach d,$(DIRS),$(call objects,$(d)))
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c))
FUZZERS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: all
all: $(BUILD)/calidrisd $(BUILD)/calidris

$(BUILD)/calidrisd: $(BUILD)/daemon/main.o $(LIBRARIES)
	$(CC) $(ALL_LDFLAGS) -o $@ $< $(LIBRARIES) $(LIBS)
$(BUILD)/calidris: $(BUILD)/daemon/client.o $(call lib,daemon/base)
	$(CC) $(ALL_LDFLAGS) -o $@ $< $(call lib,daemon/base) -lbsd -lev

define library
$(call lib,$(1)): $(call objects,$(1))
	@rm -f $$@
	$(AR) rcs $$@ $$^
endef
$(foreach d,$(DIRS),$(eval $(call library,$(d))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# A unit test links the libraries; what it does not use is not pulled in.
.PHONY: unit-tests
unit-tests: $(UNIT_TESTS)
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(LIBRARIES)
	$(CC) $(ALL_LDFLAGS) -o $@ $< $(LIBRARIES) $(LIBS) $(CHECK_LIBS)

# What is generated from the configuration's schema and committed; a unit test compares.
.PHONY: docs
docs: $(BUILD)/tests/tools/gen_config
	$< etc/calidris.yaml docs/calidris.yaml.5
$(BUILD)/tests/tools/%: $(BUILD)/tests/tools/%.o $(LIBRARIES)
	$(CC) $(ALL_LDFLAGS) -o $@ $< $(LIBRARIES) $(LIBS)

-include $(ALL_OBJECTS:.o=.d) $(UNIT_TESTS:=.d) $(BUILD)/daemon/main.d $(BUILD)/daemon/client.d

.PHONY: clean
clean:
	rm -rf $(BUILD)
