#include "fib/sender.h"

#include <errno.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/mem.h"

#define STACK (64 << 10)

struct sender {
	struct loop *loop;
	void (*on_sent)(void *arg, int error);
	void *arg;
	int fd;	     /* to the kernel */
	int pair[2]; /* jobs one way, results the other; [1] is the thread's */
	pthread_t thread;
	struct loop_io io;
	bool busy;
};

struct job {
	const uint8_t *data;
	size_t len;
	int cpu; /* the loop's, when it handed the batch over */
};

int sender_send_now(int fd, const uint8_t *data, size_t len)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	while (sendto(fd, data, len, MSG_DONTWAIT, (struct sockaddr *)&kernel, sizeof kernel) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

/* Of the processors that the process may use. What cannot be set stays as it is: it is no condition. */
static void stay_off(int cpu)
{
	cpu_set_t set;

	if (cpu < 0 || sched_getaffinity(getpid(), sizeof set, &set) < 0 || CPU_COUNT(&set) < 2)
		return;
	CPU_CLR((size_t)cpu, &set);
	sched_setaffinity(0, sizeof set, &set);
}

/* Ends when the other end of the pair is closed. */
static void *work(void *arg)
{
	const struct sender *s = arg;
	struct job job;
	int off = -1;

	while (recv(s->pair[1], &job, sizeof job, 0) == sizeof job) {
		int error;

		if (job.cpu != off)
			stay_off(job.cpu);
		off = job.cpu;
		error = sender_send_now(s->fd, job.data, job.len);

		if (send(s->pair[1], &error, sizeof error, MSG_NOSIGNAL) < 0)
			break;
	}
	return NULL;
}

static void on_result(void *arg, int events)
{
	struct sender *s = arg;
	int error;

	(void)events;
	if (recv(s->pair[0], &error, sizeof error, MSG_DONTWAIT) != sizeof error)
		return;
	s->busy = false;
	s->on_sent(s->arg, error);
}

/* Signals are the loop's. */
static int start(struct sender *s)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int error;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&s->thread, &attr, work, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return error;
}

struct sender *sender_new(struct loop *loop, int fd, void (*on_sent)(void *arg, int error), void *arg)
{
	struct sender *s = mem_calloc(1, sizeof *s);
	int error;

	*s = (struct sender){.loop = loop, .on_sent = on_sent, .arg = arg, .fd = fd};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->pair) < 0) {
		free(s);
		return NULL;
	}
	error = start(s);
	if (error) {
		close(s->pair[0]);
		close(s->pair[1]);
		free(s);
		errno = error;
		return NULL;
	}
	loop_io_set(loop, &s->io, s->pair[0], LOOP_READ, on_result, s);
	return s;
}

void sender_free(struct sender *s)
{
	if (!s)
		return;
	loop_io_stop(s->loop, &s->io);
	close(s->pair[0]);
	pthread_join(s->thread, NULL);
	close(s->pair[1]);
	free(s);
}

void sender_send(struct sender *s, const uint8_t *data, size_t len)
{
	struct job job = {data, len, sched_getcpu()};

	/* There is never more than one in the queue: it has room. */
	if (send(s->pair[0], &job, sizeof job, MSG_NOSIGNAL) != sizeof job)
		abort();
	s->busy = true;
}

bool sender_is_busy(const struct sender *s)
{
	return s->busy;
}
