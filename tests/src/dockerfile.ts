/** One instruction of a Dockerfile. */
export interface Instruction {
  /** Its name in capitals, such as `RUN`. */
  readonly name: string;
  /** What follows the name, in one line. */
  readonly rest: string;
}

/** One stage of a Dockerfile: from one FROM to the next. */
export type Stage = readonly Instruction[];

/** The stages of a Dockerfile, in order. Each begins with its FROM. */
export function stagesOf(dockerfile: string): Stage[] {
  const lines = dockerfile.replace(/^\s*#.*\n/gmu, "").replace(/\\\n\s*/gu, " ");
  const stages: Instruction[][] = [];
  for (const [, name = "", rest = ""] of lines.matchAll(/^\s*([A-Z]+)\s+(.+)$/gmu)) {
    if (name === "FROM") {
      stages.push([]);
    }
    const stage = stages.at(-1);
    if (stage === undefined) {
      throw new Error(`a Dockerfile begins with FROM, not with ${name}`);
    }
    stage.push({ name, rest: rest.trim() });
  }
  return stages;
}

/** What follows each instruction of this name in a stage. */
export function allOf(stage: Stage, name: string): string[] {
  return stage.filter((instruction) => instruction.name === name).map(({ rest }) => rest);
}
