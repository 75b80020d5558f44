// Texts on a page whose contrast with what is behind them is below WCAG 2 AA, as
// ["4.1 <tag class> text", ...]. Colours are painted on a canvas, so any notation is understood.
() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) =>
    [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const behind = (element) => {
    if (!element) return rgba(getComputedStyle(document.body).backgroundColor);
    const own = rgba(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, behind(element.parentElement));
  };
  const luminance = ([r, g, b]) => [r, g, b]
    .map((part) => part / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const contrastOf = (colour, back) => {
    const [dim, bright] = [luminance(back), luminance(over(rgba(colour), back))].sort((a, b) => a - b);
    return (bright + 0.05) / (dim + 0.05);
  };
  // The label behind a mark is text of the style sheet.
  const contrast = (element) => Math.min(...[null, "::after"]
    .map((part) => getComputedStyle(element, part))
    .filter(({ content }, index) => index === 0 || content !== "none")
    .map(({ color }) => contrastOf(color, behind(element))));
  const needed = ({ fontSize, fontWeight }) => {
    const size = parseFloat(fontSize);
    return size >= 24 || (size >= 18.66 && fontWeight >= 700) ? 3 : 4.5;
  };
  const speaks = (element) => [...element.childNodes].some((node) =>
    node.nodeType === Node.TEXT_NODE && node.data.trim()) || element.matches("mark, textarea, select, input:not([type=range], [type=checkbox], [type=file])");
  return [...document.body.querySelectorAll("*")]
    .filter((element) => speaks(element) && element.checkVisibility({ visibilityProperty: true }))
    .filter((element) => contrast(element) < needed(getComputedStyle(element)))
    .map((element) => `${contrast(element).toFixed(2)} <${element.tagName} ${element.className}> ${element.textContent.slice(0, 40)}`);
}
