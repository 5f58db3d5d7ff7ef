/* wayleave-edged: one edge router. Everything it does is in src/edge and src/node. */
#include "edge/edge.h"

int
main(int argc, char **argv)
{
	return daemon_main(argc, argv, &edge_ops);
}
