// The console's own script: the viewer's time zone, pages that come back by themselves. No eval, nothing inline.
"use strict";

(() => {
  const COOKIE = "accesstrail_zone";

  // Tells the server the browser's time zone once; a zone that the viewer chose stays.
  function tellZone() {
    if (document.cookie.split("; ").some((one) => one.startsWith(COOKIE + "="))) return;
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (!zone || !/^[A-Za-z0-9_+\-\/]{1,64}$/.test(zone)) return;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${COOKIE}=${zone}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  }

  // A page that could not be shown is asked for again until it can.
  function retry() {
    const block = document.querySelector("[data-retry]");
    if (!block) return;
    const again = async () => {
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
        if (answer.status !== 503 && answer.status !== 429) { location.reload(); return; }
      } catch { /* the console itself is away: go on asking */ }
      setTimeout(again, 4000);
    };
    setTimeout(again, 4000);
  }

  tellZone();
  document.addEventListener("DOMContentLoaded", retry);
})();
