/* BMP, version 3, as the monitored router writes it: RFC 7854, Adj-RIB-Out by RFC 8671, Loc-RIB by RFC 9069, and the
 * names of RFC 9736, by which the TLVs of Initiation and of Peer Up are two things.
 *
 * Pure: structs in, bytes out; a message that does not fit makes the writer bad. Stations never answer, so nothing is
 * decoded. AS paths are of 4-octet numbers unless a view says otherwise. */
#ifndef BGP_BMP_H
#define BGP_BMP_H

#include "daemon/base/addr.h"
#include "daemon/base/wire.h"

#define BMP_VERSION 3
#define BMP_HEADER_LEN 6u
#define BMP_PEER_HEADER_LEN 42u

enum bmp_type {
	BMP_ROUTE_MONITORING,
	BMP_STATISTICS_REPORT,
	BMP_PEER_DOWN,
	BMP_PEER_UP,
	BMP_INITIATION,
	BMP_TERMINATION,
	BMP_ROUTE_MIRRORING,
};

/* RFC 7854 4.2, RFC 9069 4.1. Only global instances: distinguishers are zero. */
enum bmp_peer_type { BMP_PEER_GLOBAL = 0, BMP_PEER_LOC_RIB = 3 };

/* Whose routes: what the per-peer header says of a peer. */
struct bmp_peer {
	enum bmp_peer_type type;
	struct addr address;	/* none with Loc-RIB */
	uint32_t as, router_id; /* the peer's; with Loc-RIB our own */
};

/* Which table of the peer: the L and O flags. */
enum bmp_view {
	BMP_ADJ_IN_PRE,	  /* as received */
	BMP_ADJ_IN_POST,  /* after import policy */
	BMP_ADJ_OUT_POST, /* as sent */
	BMP_LOC_RIB,
	BMP_VIEWS
};

/* Wall clock; 0 if unknown. */
struct bmp_time {
	uint32_t seconds, micros;
};

/* 4.3; the texts are cut to what fits a TLV. */
void bmp_initiation_encode(struct wr *w, const char *sys_name, const char *sys_descr);

enum bmp_termination {
	BMP_TERM_ADMIN, /* for now */
	BMP_TERM_UNSPECIFIED,
	BMP_TERM_RESOURCES,
	BMP_TERM_REDUNDANT,
	BMP_TERM_ADMIN_FOR_GOOD, /* will not be opened again */
};
/* 4.5. text "": none. */
void bmp_termination_encode(struct wr *w, enum bmp_termination reason, const char *text);

/* 4.10, RFC 9069 5.2, RFC 8671 7. The messages are whole. */
struct bmp_peer_up {
	struct addr local; /* none with Loc-RIB, whose ports are 0 */
	uint16_t local_port, remote_port;
	struct span sent_open, received_open;
	const char *table_name;	 /* of Loc-RIB, NULL none */
	const char *admin_label; /* NULL none */
};
void bmp_peer_up_encode(struct wr *w, const struct bmp_peer *p, struct bmp_time t, const struct bmp_peer_up *up);

/* 4.9, RFC 9069 5.3 */
enum bmp_down {
	BMP_DOWN_LOCAL_NOTIFICATION = 1,
	BMP_DOWN_LOCAL,
	BMP_DOWN_REMOTE_NOTIFICATION,
	BMP_DOWN_REMOTE,
	BMP_DOWN_DECONFIGURED, /* no longer monitored; the session may well be up */
	BMP_DOWN_LOC_RIB,
};
/* What comes behind the reason: reasons 1 and 3 have a message, 2 an event of RFC 4271 8.1, 6 the table's name. */
struct bmp_peer_down {
	enum bmp_down reason;
	struct span notification;
	uint16_t event;
	const char *table_name;
};
void bmp_peer_down_encode(struct wr *w, const struct bmp_peer *p, struct bmp_time t, const struct bmp_peer_down *down);

/* 4.6: begins the message; the caller writes one whole UPDATE and closes it. as2: its AS_PATH has 2-octet numbers. */
struct wr_mark bmp_route_monitoring_open(struct wr *w, const struct bmp_peer *p, enum bmp_view v, bool as2,
					 struct bmp_time t);
void bmp_close(struct wr *w, struct wr_mark length);

/* 4.8, RFC 8671 6, RFC 9069 5.5: the numbers of the registry. */
enum bmp_stat {
	BMP_STAT_REJECTED_PREFIXES = 0,
	BMP_STAT_DUPLICATE_PREFIXES = 1,
	BMP_STAT_DUPLICATE_WITHDRAWS = 2,
	BMP_STAT_CLUSTER_LOOPS = 3,
	BMP_STAT_AS_LOOPS = 4,
	BMP_STAT_ORIGINATORS = 5,
	BMP_STAT_ADJ_IN = 7,
	BMP_STAT_LOC_RIB = 8,
	BMP_STAT_ADJ_IN_FAMILY = 9,
	BMP_STAT_LOC_RIB_FAMILY = 10,
	BMP_STAT_WITHDRAWN_UPDATES = 11,
	BMP_STAT_WITHDRAWN_PREFIXES = 12,
	BMP_STAT_ADJ_OUT_POST = 15,
	BMP_STAT_ADJ_OUT_POST_FAMILY = 17,
};
/* One row per statistic that is sent: a 4-octet counter, an 8-octet gauge, or such a gauge of one family. */
struct bmp_stat_row {
	enum bmp_stat type;
	uint8_t octets;
	bool by_family;
};
extern const struct bmp_stat_row bmp_stat_table[];
extern const unsigned bmp_stat_count;

struct bmp_report {
	struct wr_mark length, count;
	uint32_t n;
};
struct bmp_report bmp_report_open(struct wr *w, const struct bmp_peer *p, struct bmp_time t);
/* The family counts where the statistic has one. What is in no row makes the writer bad. */
void bmp_report_add(struct wr *w, struct bmp_report *r, enum bmp_stat type, enum family f, uint64_t value);
void bmp_report_close(struct wr *w, const struct bmp_report *r);

#endif
