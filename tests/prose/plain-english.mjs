/** A rule for markdownlint (`npm run lint:prose`): those rules of style in CONTRIBUTING.md that a program can check. */

const MAX_WORDS_PER_SENTENCE = 25;
const MAX_WORDS_PER_CELL = 10;

/** Words that are not used here, and what to write in their place. */
const WORDS = [
  [/\banew\b/i, 'again'],
  [/\bmend(s|ed|ing)?\b/i, 'fix'],
  [/\bwho(so)?ever\b/i, 'a noun: the caller, the user, the service'],
  [/\b(goes|go|went|gone|going) on\b/i, 'continue'],
  [/\bmade up\b/i, 'generated'],
  [
    /\b(says?|saying|said|tells?|telling|told|hears?|hearing|heard)\b/i,
    'publish, receive, state, print or report',
  ],
  [/\b(is|are|was|were) (away|out)\b(?! of)/i, 'unavailable'],
  [/\b(comes?|came) (again|to be)\b/i, 'redeliver, or become'],
  [/\bwithout a word\b/i, 'without a message'],
  [/\bcrowd\b/i, 'burst, or overload'],
  [/\d[\d,.]*( (?!(?:to|in|for|after)\b)[a-z-]+)? a (second|minute|day|month)\b/i, 'per'],
  [
    /\b(\d[\d,.]*|one) (?!(?:without|to|in|for)\b)[a-z-]+ an? (service|topic|order|replica|event|type)\b/i,
    'per',
  ],
];

/** "What waits is decided together." hides its subject; "What it needs" as a heading and a question do not. */
const RELATIVE_START = /^(who|whoever|what|whatever|where|wherever)\b.*[.!]$/i;

const REPLACED = {
  codeText: 'Code',
  autolink: 'Link',
  literalAutolink: 'Link',
  lineEnding: ' ',
  htmlText: '',
};
const SKIPPED = new Set(['resource', 'reference', 'image', 'strongSequence', 'emphasisSequence']);

/** The words that a reader sees: code and addresses count as one word each. */
function textOf({ type, text, children }) {
  if (type in REPLACED) return REPLACED[type];
  if (SKIPPED.has(type)) return '';
  if (children.length > 0) return children.map(textOf).join('');
  return /^(data|characterEscapeValue|characterReference)$/.test(type) ? text : '';
}

const blocksIn = (tokens) =>
  tokens.flatMap((token) =>
    /^(paragraph|atxHeadingText|tableContent)$/.test(token.type) ? [token] : blocksIn(token.children),
  );

const wordsIn = (text) => text.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });
const sentencesIn = (text) => [...segmenter.segment(text)].map(({ segment }) => segment.trim());

function* problemsIn(block) {
  const text = textOf(block);
  for (const sentence of sentencesIn(text)) {
    const words = wordsIn(sentence);
    if (words > MAX_WORDS_PER_SENTENCE)
      yield [`${words} words, at most ${MAX_WORDS_PER_SENTENCE} in a sentence`, sentence];
    if (RELATIVE_START.test(sentence))
      yield ['Begin with the subject, and with the condition after it', sentence];
    for (const [word, instead] of WORDS) {
      const found = word.exec(sentence);
      if (found) yield [`Not used here: "${found[0]}". Use: ${instead}`, sentence];
    }
  }
  const words = wordsIn(text);
  if (block.type === 'tableContent' && words > MAX_WORDS_PER_CELL)
    yield [`${words} words, at most ${MAX_WORDS_PER_CELL} in a cell: make it a list`, text];
}

/** @type {import('markdownlint').Rule} */
export default {
  names: ['plain-english'],
  description: 'Plain English',
  tags: ['prose'],
  parser: 'micromark',
  function: ({ parsers }, onError) => {
    for (const block of blocksIn(parsers.micromark.tokens))
      for (const [detail, context] of problemsIn(block))
        onError({ lineNumber: block.startLine, detail, context });
  },
};
