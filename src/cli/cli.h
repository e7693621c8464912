// The commands of the program, one file each. argv[0] is the command's own name.
// Exit codes: 0 fine, 1 failed, 2 wrong usage.
#ifndef CH_CLI_CLI_H
#define CH_CLI_CLI_H

#define CH_EXIT_OK 0
#define CH_EXIT_FAILED 1
#define CH_EXIT_USAGE 2

int ch_cli_serve(int argc, char **argv);
int ch_cli_push(int argc, char **argv);
int ch_cli_verify(int argc, char **argv);
int ch_cli_repair(int argc, char **argv);
int ch_cli_check(int argc, char **argv);
int ch_cli_child_exec(int argc, char **argv); // hidden: what our children are started through
int ch_cli_film_jpeg(int argc, char **argv);  // hidden: makes the film of a JPEG camera's session
int ch_cli_grab(int argc, char **argv);       // hidden: finds a screen or window and becomes the ffmpeg that grabs it

#endif
