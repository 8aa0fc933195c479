// The page is whole without this: it adds the search, the switch of colours, and all of the page on paper.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");

  const theme = document.getElementById("theme");
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const named = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; named(); });
  named();

  const search = document.getElementById("search");
  const kind = document.getElementById("kind");
  const doubtful = document.getElementById("doubtful");
  const found = document.getElementById("found");
  const activities = [...document.querySelectorAll("section.activity")].map((section) => ({
    section, setup: section.querySelector(".about").textContent.toLowerCase(),
    datasets: [...section.querySelectorAll("article")],
  }));
  const texts = new Map();
  const textOf = (article) => {
    if (!texts.has(article)) texts.set(article, article.textContent.toLowerCase());
    return texts.get(article);
  };
  const all = activities.reduce((sum, one) => sum + one.datasets.length, 0);

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { section, setup, datasets } of activities) {
      let here = 0;
      for (const article of datasets) {
        const fits = (!kind.value || article.dataset.type === kind.value)
          && (!doubtful.checked || article.classList.contains("doubtful"))
          && words.every((word) => textOf(article).includes(word) || setup.includes(word));
        article.hidden = !fits;
        here += fits;
      }
      section.hidden = !here;
      shown += here;
    }
    const filtered = words.length || kind.value || doubtful.checked;
    found.textContent = filtered ? `${shown.toLocaleString("en")} of ${all.toLocaleString("en")} datasets` : "";
  };
  let waiting = 0;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); });
  kind.addEventListener("change", filter);
  doubtful.addEventListener("change", filter);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName)) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && document.activeElement === search) {
      search.value = "";
      filter();
    }
  });

  document.getElementById("unfold").addEventListener("click", (event) => {
    const open = event.currentTarget.getAttribute("aria-pressed") !== "true";
    for (const details of document.querySelectorAll("article details")) details.open = open;
    event.currentTarget.setAttribute("aria-pressed", String(open));
    event.currentTarget.textContent = open ? "Fold all metadata" : "Unfold all metadata";
  });

  addEventListener("beforeprint", () => {
    for (const picture of document.images) picture.loading = "eager";
  });
})();
