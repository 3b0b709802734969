// What is wrong with a page for somebody with a telephone, a keyboard, a screen reader or tired eyes; a list of sentences.
async () => {
    const frame = () => new Promise(resolve => requestAnimationFrame(resolve));
    await frame(), await frame(); // then colours that fade are known to fade; they are looked at when they have
    for (const transition of document.getAnimations()) transition.finish();
    await frame();
    const wrong = [], shown = element => element.checkVisibility({visibilityProperty: true});
    const told = element => `<${element.tagName.toLowerCase()} class="${element.getAttribute("class") || ""}" id="${element.id}">`;

    const page = document.scrollingElement;
    if (page.scrollWidth > innerWidth) {
        const over = [...document.body.querySelectorAll("*")].filter(one => one.getBoundingClientRect().right > innerWidth + 1);
        wrong.push(`${page.scrollWidth} pixels wide: ${over.slice(0, 8).map(told).join(" ")}`);
    }

    const content = document.querySelector("#main");
    // Django's own two boxes for a date and its time have their names beside them, as text
    for (const control of content.querySelectorAll("input:not([type=hidden]), select, textarea, button")) {
        const named = control.labels?.length || control.getAttribute("aria-label") || control.getAttribute("aria-labelledby")
            || control.title || control.textContent.trim() || (/^(submit|button)$/.test(control.type) && control.value);
        if (shown(control) && !named && !control.matches(".vDateField, .vTimeField")) wrong.push(`no name: ${told(control)}`);
    }
    for (const image of content.querySelectorAll("img:not([alt])")) wrong.push(`no alternative: ${told(image)}`);
    for (const scrolled of content.querySelectorAll("*")) {
        const scrolls = /auto|scroll/.test(getComputedStyle(scrolled).overflowX) && scrolled.scrollWidth > scrolled.clientWidth + 1;
        const reached = scrolled.tabIndex >= 0 || scrolled.querySelector("a[href], button, input, select, textarea, summary");
        if (shown(scrolled) && scrolls && !reached) wrong.push(`scrolls, but not by keyboard: ${told(scrolled)}`);
    }
    let level = 1;
    for (const heading of content.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
        const own = Number(heading.tagName[1]);
        if (own > level + 1) wrong.push(`a heading of level ${own} after one of ${level}: ${heading.textContent.trim()}`);
        level = own;
    }
    const ids = [...document.querySelectorAll("[id]")].map(one => one.id);
    for (const id of new Set(ids.filter((id, index) => ids.indexOf(id) !== index))) wrong.push(`twice the same id: ${id}`);

    const parts = colour => colour.match(/[\d.]+/g).map(Number);
    const light = colour => {
        const [red, green, blue] = parts(colour).map(part => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const ground = element => {
        for (let one = element; one; one = one.parentElement) {
            const colour = getComputedStyle(one).backgroundColor;
            if ((parts(colour)[3] ?? 1) > 0) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const texts = document.createTreeWalker(content, NodeFilter.SHOW_TEXT);
    const faint = new Set();
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement, text = texts.currentNode.textContent.trim();
        if (!text || !shown(element) || element.closest("svg, option, :disabled, .visually-hidden")) continue;
        const [darker, lighter] = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => a - b);
        const contrast = (lighter + 0.05) / (darker + 0.05);
        if (contrast < 4.5) faint.add(`${contrast.toFixed(1)} : 1, ${told(element)} ${text.slice(0, 30)}`);
    }
    return [...wrong, ...[...faint].slice(0, 6)];
}
