"use strict";

// The last script: by now every part is there.
Live.page.start().catch((error) => Live.page.say(`${error.message}.`));
