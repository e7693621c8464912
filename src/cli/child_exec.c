// camhub child-exec: what the program starts itself as to become a child with limits (source/child.h).
#include "cli/cli.h"

#include "source/child.h"

#include <unistd.h>

int ch_cli_child_exec(int argc, char **argv)
{
    _exit(ch_child_exec(argc, argv)); // it only comes back if it failed, and there is nothing to clean up
}
