// A picture in its full size, inside a frame that scrolls; again, and it fits the page.
for (const button of document.querySelectorAll("button.zoom"))
  button.addEventListener("click", () => {
    const large = button.getAttribute("aria-pressed") === "false";
    button.setAttribute("aria-pressed", large);
    button.closest("figure").classList.toggle("large", large);
  });
