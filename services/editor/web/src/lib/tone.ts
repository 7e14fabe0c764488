/** What a badge's colour says; its words say it too. */
export type Tone = 'quiet' | 'busy' | 'good' | 'warn' | 'bad'
