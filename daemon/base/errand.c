#include "daemon/base/errand.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/mem.h"

#define STACK (256 << 10) /* the resolver and its modules keep whole packets on it */

/* The thread's alone. */
struct job {
	errand_fn *work;
	void *question;
	size_t size;
	int fd;
};

static void *run(void *arg)
{
	struct job *j = arg;
	void *answer = mem_calloc(1, j->size);
	ssize_t sent;

	j->work(j->question, answer);
	/* If nobody wants it any more the other end is closed: all the same here. */
	sent = send(j->fd, answer, j->size, MSG_NOSIGNAL);
	(void)sent;
	close(j->fd);
	free(answer);
	free(j->question);
	free(j);
	return NULL;
}

/* Signals are the loop's. */
static bool start(struct job *j)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attr, run, j);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return error == 0;
}

void errand_forget(struct errand *e)
{
	if (!e->out)
		return;
	e->out = false;
	loop_io_stop(e->loop, &e->io);
	close(e->fd);
}

static void on_readable(void *arg, int events)
{
	struct errand *e = arg;
	void *answer = mem_alloc(e->size);
	bool whole = recv(e->fd, answer, e->size, MSG_DONTWAIT) == (ssize_t)e->size;

	(void)events;
	errand_forget(e);
	e->on_answer(e->arg, whole ? answer : NULL); /* may end the errand's owner */
	free(answer);
}

bool errand_start(struct errand *e, struct loop *loop, errand_fn *work, void *question, size_t size,
		  errand_answer_fn *on_answer, void *arg)
{
	struct job *j = mem_alloc(sizeof *j);
	int pair[2] = {-1, -1};

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
		*j = (struct job){.work = work, .question = question, .size = size, .fd = pair[1]};
		if (start(j)) {
			e->loop = loop;
			e->on_answer = on_answer;
			e->arg = arg;
			e->size = size;
			e->fd = pair[0];
			e->out = true;
			loop_io_set(loop, &e->io, e->fd, LOOP_READ, on_readable, e);
			return true;
		}
		close(pair[0]);
		close(pair[1]);
	}
	free(j);
	free(question);
	return false;
}
