/* What the codec's own files share and nobody else needs: judgement and conversion of received AS paths, printable
 * text, and the value functions behind the attribute table's rows. */
#ifndef BGP_CODEC_PRIVATE_H
#define BGP_CODEC_PRIVATE_H

#include "bgp/codec/attr.h"
#include "bgp/codec/msg.h"

/* What can be wrong with a received path. In rising strength; with several faults the strongest is reported. */
enum as_path_fault {
	AS_PATH_FINE,
	AS_PATH_ZERO, /* AS 0, RFC 7607 */
	AS_PATH_SET,  /* AS_SET or AS_CONFED_SET, RFC 9774 */
	AS_PATH_TYPE, /* a segment type nobody knows, or of a confederation where there is none */
	AS_PATH_EMPTY,
	AS_PATH_OVERRUN,
};
extern const char *const as_path_faults[];

/* Judges a path as received, with numbers of width 2 or 4 octets. confed: AS_CONFED_SEQUENCE is in order. */
enum as_path_fault as_path_check(struct span path, unsigned width, bool confed);
/* A checked path of 2-octet numbers with 4-octet ones, made in the arena. */
struct span as_path_widen(struct span path, struct arena *arena);
/* RFC 6793 4.2.3: AS_PATH (already widened) and AS4_PATH, both checked, as one; made in the arena or one of the two. */
struct span as_path_merge(struct span path, struct span as4_path, struct arena *arena);
/* Does an old peer need AS4_PATH to see the whole of it? */
bool as_path_is_wide(struct span path);
/* Writes the path with 2-octet numbers, AS_TRANS for those that do not fit. */
void as_path_write_narrow(struct wr *w, struct span path);
/* Writes it as AS4_PATH, which carries no confederation segments (RFC 6793 3). */
void as_path_write_as4(struct wr *w, struct span path);

/* Copies text into out[size], as much as fits: valid printable UTF-8 stays, every other octet becomes '?', and a NUL a
 * blank. */
void bgp_printable(char *out, size_t size, struct span text);

/* Functions of the table's rows (attr_value.c, attr_format.c). Their parameters are the table's; most values need only
 * some of them. */
#define ATTR_UNUSED __attribute__((unused))
#define ATTR_DECODER(name)                                                           \
	bool attr_##name##_decode(ATTR_UNUSED struct bgp_attrs *a, struct rd *value, \
				  ATTR_UNUSED const struct bgp_codec *codec, ATTR_UNUSED struct arena *arena)
#define ATTR_ENCODER(name)                                                                         \
	void attr_##name##_encode(ATTR_UNUSED struct wr *w, ATTR_UNUSED const struct bgp_attrs *a, \
				  ATTR_UNUSED const struct bgp_codec *codec)
#define ATTR_FORMATTER(name) void attr_##name##_format(struct strbuf *out, const struct bgp_attrs *a)
#define ATTR_VALUE(name)    \
	ATTR_DECODER(name); \
	ATTR_ENCODER(name); \
	ATTR_FORMATTER(name)

ATTR_VALUE(origin);
ATTR_VALUE(as_path);
ATTR_VALUE(next_hop);
ATTR_VALUE(med);
ATTR_VALUE(local_pref);
ATTR_VALUE(atomic_aggregate);
ATTR_VALUE(aggregator);
ATTR_VALUE(communities);
ATTR_VALUE(originator_id);
ATTR_VALUE(cluster_list);
ATTR_VALUE(ext_communities);
ATTR_VALUE(ipv6_ext_communities);
ATTR_VALUE(aigp);
ATTR_VALUE(large_communities);
ATTR_VALUE(otc);
ATTR_VALUE(prefix_sid);
ATTR_ENCODER(as4_path);
ATTR_ENCODER(as4_aggregator);

#endif
