/* front: speaks with strangers. Its channel to parent is fd 3; everything else comes through it. */
#pragma once
int front_main(void);
