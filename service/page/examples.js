// Example texts: those of a model's own data, or those written here for its language.

const TITLE = 32; // characters of a sentence on its button

const EXAMPLES = [
  { language: "en", title: "News", text: "Angela Merkel visited Toyota in Nagoya on Monday, where engineers from Fraunhofer and the University of Tokyo showed her a hydrogen bus. Two days later she flew on to Seoul." },
  { language: "en", title: "Football", text: "Ajax lost 2-1 at home to Celtic after Jota scored twice. Manager Ange Postecoglou, who left Yokohama for Glasgow in 2021, praised the fans who had come from Scotland." },
  { language: "en", title: "Message", text: "Ana's flight from São Paulo is late ✈️ so Zoë will meet her in Lisbon instead. Can someone at Google tell Mr O'Brien? 🙏" },
  { language: "zh", title: "新闻", text: "九月三日，李明代表华东电力公司在上海会见了来自东京的客人。双方将在苏州合作，由清华大学的陈晓红教授主持研究。" },
  { language: "zh", title: "体育", text: "昨晚，北京队在广州以三比一战胜山东队。教练王建国赛后说，张伟和刘洋的表现最令他满意，下周他们将前往成都。" },
  { language: "zh", title: "简历", text: "王芳女士，1975年出生，中国国籍，毕业于浙江大学经济学专业，硕士学历，现任宁波海达股份有限公司董事、总经理。" },
];

function short(text) {
  const characters = [...text];
  return characters.length > TITLE ? `${characters.slice(0, TITLE - 1).join("").trimEnd()}…` : text;
}

export function examplesFor({ language, examples = [] }) {
  if (examples.length) return examples.map((text) => ({ language, title: short(text), text }));
  return EXAMPLES.filter((one) => one.language === language.split("-")[0]);
}
