// A page that is opened from the disk may not fetch others, from which search would quote: it lists titles alone.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
