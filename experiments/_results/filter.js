// The filter above the table of numbers: notebook, kind and result.
{
  const form = document.getElementById("filter");
  const rows = [...document.querySelectorAll("tr[data-kind]")];
  const show = () => {
    const { notebook, kind, result } = Object.fromEntries(new FormData(form));
    for (const row of rows) {
      const { notebook: of, kind: is, result: got } = row.dataset;
      const matches = result === "fails" ? row.classList.contains("fails") : !result || got === result;
      row.hidden = !((!notebook || of === notebook) && (!kind || is === kind) && matches);
    }
    const left = rows.filter(row => !row.hidden).length;
    document.getElementById("shown").textContent = `${left} of ${rows.length} rows`;
  };
  form?.addEventListener("input", show);
  form?.addEventListener("submit", event => event.preventDefault());
  if (form) show(); // A browser restores the choices of an earlier visit.
  // A link to a row that the filter hides shows it.
  addEventListener("hashchange", () => {
    const row = document.getElementById(location.hash.slice(1));
    if (!row?.hidden) return;
    form.reset();
    show();
    row.scrollIntoView();
  });
}
