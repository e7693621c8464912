// The operator at the terminal: lines from stdin become commands (wire protocol 1.4). On a terminal there
// is line editing with history, and log lines do not tear the prompt. stdin that ends, or that is no
// terminal and no pipe, is simply not listened to.
#ifndef CH_APP_OPERATOR_H
#define CH_APP_OPERATOR_H

#include "app/hub.h"

struct ch_operator;

// NULL without memory. `quit` is called when the operator asks for the end.
struct ch_operator *ch_operator_start(struct ch_hub *hub, void (*quit)(void *context), void *context);
// Gives the terminal back and frees it once the loop has closed its handles.
void ch_operator_stop(struct ch_operator *operator);

#endif
