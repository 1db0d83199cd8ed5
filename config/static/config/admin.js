// What Alpine's CSP build cannot read out of unfold's pages: it knows no globals.
document.addEventListener("alpine:init", () => {
  Alpine.data("theme", theme);
  Alpine.data("searchForm", searchForm);
  Alpine.data("page", (firstTab) => ({
    activeTab: firstTab,
    sidebarMobileOpen: false,
    window: {
      location: {
        pathname: location.pathname,
        search: location.search,
        hash: location.hash,
        get href() {
          return location.href;
        },
        set href(address) {
          location.assign(address); // the numbers of a list's pages
        },
      },
    },
    sidebarDesktopOpen: localStorage.getItem("sidebarDesktopOpen") !== "0",
    init() {
      this.activeTab = getCurrentTab() || firstTab;
      this.$watch("sidebarDesktopOpen", (open) => localStorage.setItem("sidebarDesktopOpen", open ? "1" : "0"));
    },
  }));
});

// What unfold's pages lack for those who do not see them. Icons are words of a font, which would be read out.
const NAMES = {
  "#searchbar": "Search",
  "#searchbar-submit": "Search",
  '#nav-sidebar a.shrink-0[href$="/admin/"]': "Dashboard",
  'a[href="#"]:has(> .material-symbols-outlined:only-child)': "More",
};

function name(root) {
  for (const icon of root.querySelectorAll(".material-symbols-outlined")) icon.setAttribute("aria-hidden", "true");
  for (const hint of root.querySelectorAll(".help-tooltip[aria-label]")) hint.setAttribute("role", "img");
  for (const select of root.querySelectorAll("select.select2-hidden-accessible[id]")) {
    const label = root.querySelector(`label[for="${select.id}"]`)?.textContent.trim() || select.getAttribute("aria-label");
    for (const box of select.nextElementSibling?.querySelectorAll("[role=combobox], [role=textbox]") || []) {
      box.removeAttribute("aria-labelledby");
      box.setAttribute("aria-label", label || "Choose");
    }
  }
  for (const [selector, text] of Object.entries(NAMES)) {
    for (const each of root.querySelectorAll(selector)) each.setAttribute("aria-label", text);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  name(document);
  new MutationObserver(() => name(document)).observe(document.body, {
    childList: true,
    subtree: true,
  });
});
