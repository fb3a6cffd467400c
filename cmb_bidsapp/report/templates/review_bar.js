// The bar at the foot of the page: its parts, and what it tells the reader.
const cmbBar = (() => {
  "use strict";
  const bar = document.getElementById("review");
  const find = (selector) => bar.querySelector(selector);
  const offers = [...bar.querySelectorAll(".review-offer")];
  const told = { ofPlace: false };  // what is said and offered is about the place of the crosshair

  // Tells the reader something, and may offer buttons that do something about it: [label, action].
  function say(message, ...acts) {
    const before = bar.offsetHeight;
    told.ofPlace = false;
    find("[role=status]").textContent = message;
    offers.forEach((offer, k) => {
      const [label, action] = acts[k] ?? ["", null];
      offer.textContent = label;
      offer.onclick = action;
      offer.hidden = !action;
    });
    makeRoom(bar.offsetHeight - before);
  }

  // Where the bar grew over the controls of the card that the reader is at, the page moves on.
  function makeRoom(grown) {
    const card = document.querySelector(".card.review-current");
    const low = (card?.getBoundingClientRect().bottom ?? 0) - bar.getBoundingClientRect().top;
    if (low > 0 && low <= grown) scrollBy(0, low + 4);
  }

  // As --top of the head of the page: what is scrolled to has to stay clear of the bar.
  const measure = () => document.documentElement.style.setProperty("--foot", `${bar.offsetHeight}px`);
  new ResizeObserver(measure).observe(bar);

  const plural = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
  return { bar, find, say, told, plural, measure };
})();
