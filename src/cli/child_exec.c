// camhub child-exec: what the program starts itself as to become a child with limits (source/child.h).
#include "cli/cli.h"

#include "source/child.h"

int ch_cli_child_exec(int argc, char **argv)
{
    return ch_child_exec(argc, argv);
}
