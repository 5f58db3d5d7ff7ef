/* wayleave-pace: sequence-numbered UDP at a steady rate, and what became of it.
 *
 *   wayleave-pace send --to ADDR:PORT [--from ADDR:PORT] --rate BITS --size BYTES --seconds S
 *   wayleave-pace receive --at ADDR:PORT [--seconds S]      until S, or SIGTERM/SIGINT
 *
 * SIZE is the length of the IP packet (what a policer counts), RATE is in bits of IP packets a
 * second. Packets leave at their times: a late sender catches up by at most 10 ms' worth:
 * half of a policer's burst. Each datagram carries the stream's id,
 * its number and its sending time (CLOCK_MONOTONIC, one machine).
 *
 * Both print one line of JSON at the end. The receiver tells, per stream: received, the highest
 * number, duplicates, late ones, bytes per 100 ms of *sending* time (so that a rate can be judged
 * without edge effects), and each range of lost numbers with the times at which its first and last
 * packets were sent. One thread; no privileges. */
#include "base/base.h"
#include "base/mem.h"
#include "base/mono.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

enum {
	MAGIC = 0x77706163, /* "wpac" */
	HEADERS = 28,       /* IPv4 and UDP */
	PACKET_MIN = HEADERS + 32,
	PACKET_MAX = 9000,
	STREAMS_MAX = 64,
	SLOTS_MAX = 36000, /* of 100 ms: one hour */
	BATCH = 32,
	BEHIND_MOST_US = 10000,
};
#define NUMBERS_MAX (1u << 28)

struct header {
	uint32_t magic, stream;
	uint64_t number;
	int64_t sent_us, first_us;
};

static volatile sig_atomic_t is_over;

static void
on_signal(int sig)
{
	(void)sig;
	is_over = 1;
}

static int
usage(const char *why)
{
	fprintf(stderr,
		"wayleave-pace: %s\n"
		"usage: wayleave-pace send --to ADDR:PORT [--from ADDR:PORT] --rate BITS --size BYTES --seconds S\n"
		"       wayleave-pace receive --at ADDR:PORT [--seconds S]\n",
		why);
	return 2;
}

static bool
parse_endpoint(const char *text, struct sockaddr_in *ret)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	char *end = NULL;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;

	if (!colon || colon == text || (size_t)(colon - text) >= sizeof(host) || *end ||
	    port > 65535)
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = 0;
	*ret = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	return inet_pton(AF_INET, host, &ret->sin_addr) == 1;
}

/* ---- sender ---- */

struct pacer {
	int fd;
	double interval_us;
	size_t payload;
	int64_t begin_us, end_us;
	uint64_t sent, refused;
};

static void
sleep_until(int64_t us)
{
	struct timespec t = { us / 1000000, us % 1000000 * 1000 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void
send_one(struct pacer *p, struct header *h, uint8_t *frame, int64_t now)
{
	h->sent_us = now;
	memcpy(frame, h, sizeof(*h));
	if (send(p->fd, frame, p->payload, 0) < 0)
		p->refused++; /* its number is missing at the receiver too */
	h->number++;
	p->sent++;
}

static void
pace(struct pacer *p, struct header *h)
{
	uint8_t frame[PACKET_MAX] = { 0 };
	double next = (double)p->begin_us;
	const double behind_most = BEHIND_MOST_US;

	while (!is_over) {
		int64_t now = mono_now().us;

		if (now >= p->end_us)
			break;
		if (next < (double)now - behind_most)
			next = (double)now - behind_most; /* slept too long: those are not sent */
		while (next <= (double)now) {
			send_one(p, h, frame, now);
			next += p->interval_us;
		}
		/* Below the timer's own grain several packets leave together. */
		sleep_until((int64_t)next + 1);
	}
}

static int
run_send(const struct sockaddr_in *to, const struct sockaddr_in *from, double rate, size_t size,
	 double seconds)
{
	AUTO_CLOSE fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int room = 4 << 20;

	if (fd < 0 ||
	    (from->sin_family && bind(fd, (const struct sockaddr *)from, sizeof(*from)) < 0) ||
	    connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0) {
		perror("wayleave-pace: socket");
		return 1;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));

	struct mono now = mono_now();
	struct pacer p = { .fd = fd,
			   .interval_us = (double)size * 8 * 1e6 / rate,
			   .payload = size - HEADERS,
			   .begin_us = now.us,
			   .end_us = now.us + (int64_t)(seconds * 1e6) };
	struct header h = { .magic = MAGIC, .stream = (uint32_t)getpid(), .first_us = p.begin_us };

	pace(&p, &h);

	double took = (double)(mono_now().us - p.begin_us) / 1e6;

	printf("{\"stream\": %u, \"sent\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"size\": %zu, "
	       "\"seconds\": %.6f, \"bitsPerSecond\": %.0f, \"beginUs\": %" PRId64 "}\n",
	       h.stream, p.sent, p.refused, size, took, (double)p.sent * (double)size * 8 / took,
	       p.begin_us);
	return 0;
}

/* ---- receiver ---- */

struct stream {
	uint32_t id;
	int64_t first_us;         /* when its sender began */
	uint64_t received, n_top; /* n_top: highest number + 1 */
	uint64_t duplicates, late, bytes;
	int64_t last_us;  /* arrival of the latest */
	int64_t *sent_us; /* by number; 0 = not received */
	uint64_t cap;
	uint64_t *slots; /* bytes by 100 ms of sending time */
	size_t n_slots;
};

static struct stream streams[STREAMS_MAX];
static unsigned n_streams;

static struct stream *
stream_of(const struct header *h)
{
	for (unsigned i = 0; i < n_streams; i++)
		if (streams[i].id == h->stream && streams[i].first_us == h->first_us)
			return &streams[i];
	if (n_streams == STREAMS_MAX)
		return NULL;
	streams[n_streams] = (struct stream){ .id = h->stream,
					      .first_us = h->first_us,
					      .slots = mem_array(SLOTS_MAX, sizeof(uint64_t)) };
	return &streams[n_streams++];
}

static void
stream_grow(struct stream *s, uint64_t number)
{
	uint64_t cap = s->cap ? s->cap : 1 << 16;

	if (number < s->cap)
		return;
	while (cap <= number)
		cap *= 2;
	s->sent_us = mem_realloc(s->sent_us, cap * sizeof(*s->sent_us));
	memset(s->sent_us + s->cap, 0, (cap - s->cap) * sizeof(*s->sent_us));
	s->cap = cap;
}

static void
take(const uint8_t *frame, size_t n, int64_t now)
{
	struct header h;
	struct stream *s;

	if (n < sizeof(h))
		return;
	memcpy(&h, frame, sizeof(h));
	if (h.magic != MAGIC || h.number >= NUMBERS_MAX || !(s = stream_of(&h)))
		return;
	stream_grow(s, h.number);
	if (s->sent_us[h.number]) {
		s->duplicates++;
		return;
	}
	s->sent_us[h.number] = h.sent_us;
	s->received++;
	s->bytes += n + HEADERS;
	s->last_us = now;
	if (h.number < s->n_top)
		s->late++;
	else
		s->n_top = h.number + 1;

	int64_t slot = (h.sent_us - h.first_us) / 100000;

	if (slot >= 0 && slot < SLOTS_MAX) {
		s->slots[slot] += n + HEADERS;
		s->n_slots = MAX(s->n_slots, (size_t)slot + 1);
	}
}

static void
print_losses(const struct stream *s)
{
	unsigned n = 0;

	printf("\"lost\": [");
	for (uint64_t i = 0; i < s->n_top; i++) {
		uint64_t from = i;

		if (s->sent_us[i])
			continue;
		while (i + 1 < s->n_top && !s->sent_us[i + 1])
			i++;
		if (n < 10000)
			printf("%s{\"from\": %" PRIu64 ", \"count\": %" PRIu64
			       ", \"beginUs\": %" PRId64 ", \"endUs\": %" PRId64 "}",
			       n ? ", " : "", from, i + 1 - from,
			       from ? s->sent_us[from - 1] : s->first_us, s->sent_us[i + 1]);
		n++;
	}
	printf("], \"lostRanges\": %u", n);
}

static void
print_stream(const struct stream *s)
{
	printf("{\"stream\": %u, \"received\": %" PRIu64 ", \"highest\": %" PRIu64
	       ", \"missing\": %" PRIu64 ", \"duplicates\": %" PRIu64 ", \"late\": %" PRIu64
	       ", \"bytes\": %" PRIu64 ", \"beginUs\": %" PRId64 ", \"lastUs\": %" PRId64 ", ",
	       s->id, s->received, s->n_top, s->n_top - s->received, s->duplicates, s->late,
	       s->bytes, s->first_us, s->last_us);
	print_losses(s);
	printf(", \"bytesPer100ms\": [");
	for (size_t i = 0; i < s->n_slots; i++)
		printf("%s%" PRIu64, i ? ", " : "", s->slots[i]);
	printf("]}");
}

static int
run_receive(const struct sockaddr_in *at, double seconds)
{
	AUTO_CLOSE fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int room = 16 << 20;
	static uint8_t frames[BATCH][PACKET_MAX];
	struct iovec iov[BATCH];
	struct mmsghdr msgs[BATCH];
	struct mono end = seconds > 0 ? mono_add_us(mono_now(), (int64_t)(seconds * 1e6))
				      : MONO_NEVER;

	if (fd < 0 || bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0) {
		perror("wayleave-pace: bind");
		return 1;
	}
	/* A busy machine must not look like a lossy network. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ frames[i], PACKET_MAX };
		msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	while (!is_over && !mono_is_due(end, mono_now())) {
		struct pollfd p = { fd, POLLIN, 0 };
		int n;

		if (poll(&p, 1, 50) <= 0)
			continue;
		n = recvmmsg(fd, msgs, BATCH, 0, NULL);
		for (int i = 0; i < n; i++)
			take(frames[i], msgs[i].msg_len, mono_now().us);
	}
	printf("{\"streams\": [");
	for (unsigned i = 0; i < n_streams; i++) {
		printf("%s", i ? ", " : "");
		print_stream(&streams[i]);
		free(streams[i].sent_us);
		free(streams[i].slots);
	}
	printf("]}\n");
	return 0;
}

struct options {
	const char *to, *from, *at;
	double rate, seconds;
	double size;
};

static bool
parse_number(const char *text, double *ret)
{
	char *end;

	*ret = strtod(text, &end);
	return end != text && !*end && *ret > 0;
}

static bool
parse_options(int argc, char **argv, struct options *o)
{
	struct {
		const char *name;
		const char **text;
		double *number;
	} known[] = {
		{ "--to", &o->to, NULL },     { "--from", &o->from, NULL },
		{ "--at", &o->at, NULL },     { "--rate", NULL, &o->rate },
		{ "--size", NULL, &o->size }, { "--seconds", NULL, &o->seconds },
	};

	for (int i = 2; i < argc; i += 2) {
		bool is_known = false;

		for (size_t k = 0; k < COUNT(known) && i + 1 < argc; k++) {
			if (strcmp(argv[i], known[k].name) != 0)
				continue;
			is_known = !known[k].number || parse_number(argv[i + 1], known[k].number);
			if (known[k].text)
				*known[k].text = argv[i + 1];
		}
		if (!is_known)
			return false;
	}
	return true;
}

int
main(int argc, char **argv)
{
	struct options o = { 0 };
	struct sockaddr_in a = { 0 }, from = { 0 };
	struct sigaction stop = { .sa_handler = on_signal };

	if (argc < 2 || !parse_options(argc, argv, &o))
		return usage("wrong arguments");
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	if (!strcmp(argv[1], "receive")) {
		if (!o.at || !parse_endpoint(o.at, &a))
			return usage("receive wants --at ADDR:PORT");
		return run_receive(&a, o.seconds);
	}
	if (strcmp(argv[1], "send") != 0)
		return usage("send or receive?");
	if (!o.to || !parse_endpoint(o.to, &a) || (o.from && !parse_endpoint(o.from, &from)))
		return usage("send wants --to ADDR:PORT");
	if (o.rate <= 0 || o.seconds <= 0 || o.size < PACKET_MIN || o.size > PACKET_MAX)
		return usage("send wants --rate, --seconds and --size (60..9000)");
	return run_send(&a, &from, o.rate, (size_t)o.size, o.seconds);
}
