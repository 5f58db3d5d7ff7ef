/* wayleave-hostd: one host's vSwitch. Everything it does is in src/host and src/node. */
#include "host/host.h"

int
main(int argc, char **argv)
{
	return daemon_main(argc, argv, &host_ops);
}
