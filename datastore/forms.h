/* Other shapes in which Calico's objects come: what a Kubernetes API server keeps.
 *
 * There a Calico Node is a Node of Kubernetes with annotations, a WorkloadEndpoint is a Pod, and objects of the group
 * crd.projectcalico.org carry a second set of metadata in an annotation. Such a document is translated into the Calico
 * document that it stands for, by a table of fields; everything else (types, ranges, defaults, messages) is then done
 * by the one schema of its kind. Pure: trees in, trees out. */
#ifndef DATASTORE_FORMS_H
#define DATASTORE_FORMS_H

#include "daemon/base/mem.h"
#include "datastore/objects.h"

/* A field: where it stands, and where Calico's document has it. */
struct form_field {
	const char *from;	/* a path; NULL: an annotation, or made */
	const char *annotation; /* its whole name */
	const char *to;		/* a path of the Calico document */
	/* An annotation that cannot be read counts as absent, and is reported. */
	bool lenient;
	/* Makes the value (in the arena) from the document; NULL if there is none. */
	struct yaml_node *(*make)(struct arena *a, const struct yaml_node *doc);
};

struct form {
	const char *api, *kind; /* apiVersion and kind of the documents */
	const char *makes;	/* the Calico kind that they are about */
	const struct form_field *fields;
	unsigned field_count;
	/* Is the document about no object at all (a Pod in its node's network)? NULL: never. */
	bool (*is_nobody)(const struct yaml_node *doc);
	/* What the Calico document has no field for. NULL: nothing. */
	void (*finish)(struct object *o);
};

/* The forms; a test walks them. */
extern const struct form forms[];
extern const unsigned form_count;
/* The form of a document; NULL if it is in none of them, and to be read as it is. */
const struct form *form_of(const struct yaml_node *doc);
/* The translated document: it borrows from doc, and lives in the arena. left_out: fields that turned out not to be
 * readable, as indices into the form's fields. */
struct yaml_node *form_translate(const struct form *f, const struct yaml_node *doc, uint64_t left_out, struct arena *a);
/* The form's field that became this field of the Calico document; -1 if there is none. */
int form_field_to(const struct form *f, const char *to);

/* For the functions that make fields: trees in the arena, with the places of `at`. A text is copied; a map's keys and
 * all values are borrowed, and there may be as many as `room` says. */
struct yaml_node *form_text(struct arena *a, const struct yaml_node *at, const char *text);
struct yaml_node *form_tree(struct arena *a, const struct yaml_node *at, enum yaml_type type, size_t room);
void form_add(struct yaml_node *tree, const char *key, const struct yaml_node *value);
/* A text of the document, by its path or as an annotation; NULL if it is absent or no text. */
const char *form_text_at(const struct yaml_node *doc, const char *path);
const char *form_annotation(const struct yaml_node *doc, const char *name);

/* The document with the labels and annotations that stand packed (as JSON) in its annotation
 * projectcalico.org/metadata; doc itself if it has no such annotation. NULL, with err filled, if that cannot be read.
 */
const struct yaml_node *form_unpack(const struct yaml_node *doc, struct arena *a, struct object_error *err);

#endif
