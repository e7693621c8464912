// camhub grab: finds a screen or window and becomes the ffmpeg that grabs it (source/grab.h).
#include "cli/cli.h"

#include "source/grab.h"

#include <unistd.h>

int ch_cli_grab(int argc, char **argv)
{
    _exit(ch_grab(argc, argv)); // it only comes back if it failed, and there is nothing to clean up
}
