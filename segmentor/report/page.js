"use strict";
/* What the page does beyond being read: theme, contents, tables, saved figures, print. Without it the page is whole.
   Text from the data passes through as text only: nothing here makes markup, and every word comes from the page. */
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const isKept = (work) => { try { return work(); } catch { return null; } };  /* storage may be shut for a file */

  /* theme: set before anything is drawn */
  const THEMES = ["system", "light", "dark"];
  const KEY = "segmentor-theme";
  const setTheme = (theme) => {
    if (theme === "system") delete root.dataset.theme; else root.dataset.theme = theme;
  };
  let theme = isKept(() => localStorage.getItem(KEY));
  if (!THEMES.includes(theme)) theme = "system";
  setTheme(theme);
  root.classList.add("scripted");

  const startTheme = (button) => {
    const which = button.querySelector(".which");
    const tell = () => { which.textContent = button.dataset[theme]; };
    button.addEventListener("click", () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      setTheme(theme);
      isKept(() => localStorage.setItem(KEY, theme));
      tell();
    });
    tell();
    button.hidden = false;
  };

  /* navigation: marks the section that is read, closes the menu, opens what a link points into */
  const startNavigation = () => {
    const menu = document.querySelector(".menu");
    const here = document.querySelector(".here");
    const links = new Map(all(".menu a").map((link) => [link.hash.slice(1), link]));
    const sections = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
    const mark = () => {
      const line = innerHeight / 3;
      const atEnd = scrollY > 0 && innerHeight + scrollY >= root.scrollHeight - 2;
      const passed = sections.filter((section) => section.getBoundingClientRect().top <= line);
      const current = atEnd ? sections[sections.length - 1] : passed[passed.length - 1];
      for (const [id, link] of links) {
        if (current && id === current.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
      here.textContent = current ? links.get(current.id).textContent : "";
    };
    let waits = false;
    const soon = () => {
      if (waits) return;
      waits = true;
      requestAnimationFrame(() => { waits = false; mark(); });
    };
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    mark();
    menu.addEventListener("click", (event) => { if (event.target.closest("a")) menu.open = false; });
    addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
    document.addEventListener("click", (event) => {
      if (menu.open && !menu.contains(event.target)) menu.open = false;
      const link = event.target.closest('a[href^="#"]');
      if (link) reveal(link.hash);
    });
    addEventListener("hashchange", () => reveal(location.hash));
    if (location.hash) reveal(location.hash);
  };
  const reveal = (hash) => {
    const target = document.getElementById(hash.slice(1));
    for (let each = target && target.parentElement; each; each = each.parentElement) {
      if (each.tagName === "DETAILS") each.open = true;
    }
  };

  /* tables: th[data-as] says how a column is sorted, td[data-value] by what, td[data-choice] what can be chosen */
  const LANGUAGE = root.lang || "en";
  const collator = new Intl.Collator(LANGUAGE, { numeric: true, sensitivity: "base" });
  const said = (number) => number.toLocaleString(LANGUAGE);
  const fill = (pattern, values) => pattern.replace(/\{(\w+)\}/g, (_, name) => said(values[name]));
  const FEW = 3, PRINTED = 200;
  const NUMBER = /[+\-\u2212]?\d[\d,]*(?:\.\d+)?/;
  const numberIn = (text) => {
    const found = NUMBER.exec(text);
    return found ? Number(found[0].replace(/,/g, "").replace("\u2212", "-")) : null;
  };
  const keyOf = (cell, as) => {
    if (!cell) return null;
    const text = cell.dataset.value ?? cell.textContent.trim();
    if (as !== "text") return numberIn(text);
    return text === "" || text === "\u2013" ? null : text;
  };

  const startTable = (table) => {
    const rows = [...table.tBodies[0].rows];
    const room = table.closest(".scroll") || table;
    if (rows.length < FEW) return;
    const body = table.tBodies[0];
    const words = document.getElementById("table-tools");
    const tools = words.content.firstElementChild.cloneNode(true);
    const find = tools.querySelector("input"), choose = tools.querySelector(".choose"), by = tools.querySelector(".sort-by select");
    const shown = tools.querySelector(".shown"), more = tools.querySelector(".more");
    const first = Number(table.dataset.first) || rows.length;
    const heads = all("thead th", table);
    const state = { column: -1, way: 1, text: "", choice: "", whole: rows.length <= first };
    const keys = new Map(), texts = new Map();

    const textOf = (row) => {
      if (!texts.has(row)) {
        const titles = all("[title]", row).map((each) => each.title).join(" ");
        texts.set(row, `${row.textContent} ${titles}`.replace(/\s+/g, " ").toLowerCase());
      }
      return texts.get(row);
    };
    const chosenAt = () => heads.findIndex((head) => "choose" in head.dataset);
    const choiceOf = (row) => row.cells[chosenAt()]?.dataset.choice ?? "";
    const sorted = () => {
      if (state.column < 0) return rows;
      if (!keys.has(state.column)) {
        const as = heads[state.column].dataset.as || "text";
        keys.set(state.column, new Map(rows.map((row) => [row, keyOf(row.cells[state.column], as)])));
      }
      const key = keys.get(state.column);
      return [...rows].sort((one, other) => {
        const a = key.get(one), b = key.get(other);
        if (a === null || b === null) return (a === null) - (b === null);
        return state.way * (typeof a === "number" ? a - b : collator.compare(a, b));
      });
    };
    const found = () => sorted().filter((row) =>
      (!state.choice || choiceOf(row) === state.choice) && (!state.text || textOf(row).includes(state.text)));
    const show = (most) => {
      const matching = found();
      const visible = state.whole || most ? matching.slice(0, most || matching.length) : matching.slice(0, first);
      body.replaceChildren(...visible);
      const narrowed = Boolean(state.text || state.choice);
      const numbers = { shown: visible.length, found: matching.length, all: rows.length };
      shown.textContent = fill(words.dataset[narrowed ? "found" : "shown"], numbers);
      more.hidden = matching.length <= first;
      more.textContent = state.whole ? fill(words.dataset.fewer, { first }) : fill(words.dataset.whole, numbers);
      more.setAttribute("aria-expanded", String(state.whole));
    };
    const sort = (column, way) => {
      state.column = column;
      state.way = way;
      heads.forEach((head, place) => {
        if (place === column) head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
        else head.removeAttribute("aria-sort");
      });
      by.value = column < 0 ? "" : `${column} ${way}`;
      show();
    };

    heads.forEach((head, place) => {
      if (!("as" in head.dataset)) return;
      const label = head.textContent.trim();
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const next = state.column !== place ? 1 : state.way > 0 ? -1 : 0;
        sort(next ? place : -1, next || 1);
      });
      for (const way of [1, -1]) by.append(new Option(`${label} ${way > 0 ? "\u2191" : "\u2193"}`, `${place} ${way}`));
    });
    by.addEventListener("change", () => {
      const [column, way] = by.value ? by.value.split(" ").map(Number) : [-1, 1];
      sort(column, way);
    });
    const at = chosenAt();
    const labels = at < 0 ? [] : [...new Set(rows.map(choiceOf).filter(Boolean))];
    if (labels.length > 1) {
      choose.querySelector("span").textContent = heads[at].textContent.trim();
      const rank = new Map(rows.map((row) => [choiceOf(row), keyOf(row.cells[at], heads[at].dataset.as) ?? 0]));
      labels.sort((one, other) => typeof rank.get(one) === "number" ? rank.get(one) - rank.get(other) : collator.compare(one, other));
      const select = choose.querySelector("select");
      for (const label of labels) select.append(new Option(label, label));
      select.addEventListener("change", () => { state.choice = select.value; show(); });
    } else choose.remove();
    find.addEventListener("input", () => { state.text = find.value.trim().replace(/\s+/g, " ").toLowerCase(); show(); });
    more.addEventListener("click", () => { state.whole = !state.whole; show(); });
    if (rows.length > first || rows.length >= 10) tools.classList.add("many");
    room.before(tools);
    room.after(more);
    /* what a table shows on paper is not cut to what was on the screen, unless it was narrowed or is very long */
    addEventListener("beforeprint", () => show(Math.max(PRINTED, body.rows.length)));
    addEventListener("afterprint", () => show());
    show();
  };

  /* a table too wide for its room can be scrolled by key, and says what it is */
  const startRooms = () => {
    const watch = new ResizeObserver((changed) => {
      for (const { target } of changed) {
        const wide = target.scrollWidth > target.clientWidth && !target.querySelector("button.sort, a");
        for (const [name, value] of [["tabindex", "0"], ["role", "group"], ["aria-label", target.querySelector("caption").textContent]]) {
          if (wide) target.setAttribute(name, value); else target.removeAttribute(name);
        }
      }
    });
    for (const room of all(".scroll:has(caption)")) watch.observe(room);
  };

  /* figures: their numbers stand beside them as text */
  const startSaving = (button) => {
    button.addEventListener("click", () => {
      const text = button.parentElement.querySelector("template").content.textContent;
      const link = document.createElement("a");
      link.download = button.dataset.save;
      link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    button.hidden = false;
  };

  /* print: what is folded away is on paper too */
  const startPrinting = () => {
    let opened = [];
    addEventListener("beforeprint", () => {
      opened = all("details:not([open], .menu)");
      for (const each of opened) each.open = true;
    });
    addEventListener("afterprint", () => {
      for (const each of opened) each.open = false;
      opened = [];
    });
  };

  document.addEventListener("DOMContentLoaded", () => {
    startPrinting();
    all("table[data-sortable]").forEach(startTable);  /* first: long tables become short before anything is measured */
    startRooms();
    all("button[data-save]").forEach(startSaving);
    all(".theme").forEach(startTheme);
    startNavigation();
  });
})();
