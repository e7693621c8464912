// Finds a screen or window of an X11 display, and becomes the ffmpeg that grabs it: the second half of a source's
// command line. A process of its own (`camhub grab`, not for people), as an X server may hang.
//
// - A screen is what the display shows, or, if RandR knows of several monitors, the one of the index (from 0, in its
//   order: the primary monitor first). Its place is that of the start: who moves it later is not followed.
// - A window is found among those that the window manager lists (or, without one, in the whole tree), by
//   _NET_WM_NAME or WM_NAME, if it is visible. It is grabbed by its id, so it may be moved.
// - x11grab of ffmpeg 5.1: a window that is closed, minimised, moved partly off the screen, or made smaller than the
//   grabbed part ends ffmpeg with "Cannot get the image data" and, of all things, status 0; in a window made larger the
//   part goes on as it is. What covers a window may be seen in the picture, unless a compositor runs.
#ifndef CH_SOURCE_GRAB_H
#define CH_SOURCE_GRAB_H

#define CH_GRAB_WORD "grab"
#define CH_GRAB_PLACE "@GRAB@" // stands alone where the x11grab input goes

// argv: `grab`, options as ch_ffmpeg_source_args writes them, "--", and the command:
//   [--display D] [--index N | --window TITLE [--substring]] [--region WxH+X+Y] [--framerate N] [--no-mouse]
// Does not return if all is well; else says on stderr what is wrong, in one line, and returns the exit status: 1, 2
// (bad arguments), 126, 127.
int ch_grab(int argc, char **argv);

#endif
