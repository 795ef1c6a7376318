#include "peer/template_parser.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "peer/go_text.h"
#include "peer/template_functions.h"
#include "peer/template_lexer.h"
#include "peer/template_literals.h"

namespace weave {
namespace {

using Nodes = std::vector<TemplateNode>;

class Parser {
 public:
  explicit Parser(absl::string_view text) : text_(text), tokens_(Tokenize(text)) {}

  absl::StatusOr<TemplateSet> Run() && {
    Nodes nodes;
    while (Peek().kind != TokenKind::kEnd) {
      if (AtDefine()) {
        RETURN_IF_ERROR(Define());
        continue;
      }
      ASSIGN_OR_RETURN(Element element, ParseElement());
      if (element.end != End::kNone) return Error(absl::StrCat("unexpected {{", Name(element.end), "}}"));
      nodes.push_back(std::move(element.node));
    }
    templates_[""] = std::move(nodes);
    return std::move(templates_);
  }

 private:
  enum class End : std::uint8_t { kNone, kEnd, kElse };

  // A node, or the `{{end}}` or `{{else` that ends those before it.
  struct Element {
    End end = End::kNone;
    TemplateNode node;
  };

  static const char* Name(End end) { return end == End::kEnd ? "end" : "else"; }

  // ---- tokens ----

  const Token& Peek() const { return tokens_[next_]; }

  const Token& Next() {
    const Token& token = tokens_[next_];
    if (next_ + 1 < tokens_.size()) ++next_;  // the last token stays
    if (token.kind != TokenKind::kSpace) last_ = &token;
    return token;
  }

  void SkipSpaces() {
    while (Peek().kind == TokenKind::kSpace) ++next_;
  }

  const Token& PeekWord() {
    SkipSpaces();
    return Peek();
  }

  const Token& NextWord() {
    SkipSpaces();
    return Next();
  }

  bool AtKeyword(absl::string_view word) { return PeekWord().kind == TokenKind::kKeyword && Peek().text == word; }

  static std::size_t EndOf(const Token& token) { return token.position + token.text.size(); }

  TemplatePlace PlaceFrom(std::size_t begin) const { return {begin, begin, std::max(begin, EndOf(*last_))}; }

  // ---- errors ----

  absl::Status ErrorAt(std::size_t position, absl::string_view message) const {
    const auto line = std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(position), '\n') + 1;
    return absl::InvalidArgumentError(TemplateMessage(absl::StrCat("template: format:", line, ": ", message)));
  }

  absl::Status Error(absl::string_view message) const { return ErrorAt(last_->position, message); }

  absl::Status Unexpected(const Token& token, absl::string_view context) const {
    if (token.kind == TokenKind::kError) return ErrorAt(token.position, token.error);
    std::string what = GoQuote(token.text.substr(0, 20));
    if (token.kind == TokenKind::kEnd) what = "EOF";
    if (token.kind == TokenKind::kKeyword) what = absl::StrCat("<", token.text, ">");
    return ErrorAt(token.position, absl::StrCat("unexpected ", what, " in ", context));
  }

  absl::Status Expect(TokenKind kind, absl::string_view context) {
    const Token& token = NextWord();
    return token.kind == kind ? absl::OkStatus() : Unexpected(token, context);
  }

  // Counts how deep we are while it lives.
  class Nesting {
   public:
    explicit Nesting(int& depth) : depth_(depth) { ++depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
    ~Nesting() { --depth_; }

   private:
    int& depth_;
  };

  absl::Status CheckNesting() const {
    if (depth_ <= kMaxTemplateNesting) return absl::OkStatus();
    return Error(absl::StrCat("nested more than ", kMaxTemplateNesting, " deep"));
  }

  // ---- structure ----

  // Whether a `{{define` follows.
  bool AtDefine() {
    if (Peek().kind != TokenKind::kLeftDelim) return false;
    const std::size_t here = next_;
    ++next_;
    const bool define = AtKeyword("define");
    next_ = here;
    return define;
  }

  absl::StatusOr<Element> ParseElement() {
    const Token& token = Next();
    if (token.kind == TokenKind::kText) {
      TemplateNode node;
      node.text = std::string(token.text);
      node.place = PlaceFrom(token.position);
      return Element{End::kNone, std::move(node)};
    }
    if (token.kind != TokenKind::kLeftDelim) return Unexpected(token, "input");
    return Action();
  }

  absl::StatusOr<Element> Action() {
    if (PeekWord().kind != TokenKind::kKeyword) {
      TemplateNode node;
      node.kind = TemplateNode::Kind::kAction;
      ASSIGN_OR_RETURN(node.pipeline, Pipeline("command", TokenKind::kRightDelim));
      node.place = node.pipeline->place;
      return Element{End::kNone, std::move(node)};
    }
    const Token& keyword = NextWord();
    const std::string word(keyword.text);
    if (word == "end") {
      RETURN_IF_ERROR(Expect(TokenKind::kRightDelim, "end"));
      return Element{End::kEnd, {}};
    }
    if (word == "else") {
      if (!AtKeyword("if")) RETURN_IF_ERROR(Expect(TokenKind::kRightDelim, "else"));
      return Element{End::kElse, {}};
    }
    absl::StatusOr<TemplateNode> node = Unexpected(keyword, "command");
    if (word == "if") node = Control(TemplateNode::Kind::kIf, "if");
    if (word == "with") node = Control(TemplateNode::Kind::kWith, "with");
    if (word == "range") node = Control(TemplateNode::Kind::kRange, "range");
    if (word == "break") node = Jump(TemplateNode::Kind::kBreak, "break");
    if (word == "continue") node = Jump(TemplateNode::Kind::kContinue, "continue");
    if (word == "template") node = Call("template clause");
    if (word == "block") node = Block();
    RETURN_IF_ERROR(node.status());
    return Element{End::kNone, *std::move(node)};
  }

  absl::StatusOr<TemplateNode> Jump(TemplateNode::Kind kind, absl::string_view word) {
    TemplateNode node;
    node.kind = kind;
    node.place = PlaceFrom(last_->position);
    RETURN_IF_ERROR(Expect(TokenKind::kRightDelim, absl::StrCat("{{", word, "}}")));
    if (range_depth_ == 0) return Error(absl::StrCat("{{", word, "}} outside {{range}}"));
    return node;
  }

  // Nodes up to the `{{end}}` or `{{else`, which is said in `end`.
  absl::StatusOr<Nodes> NodesUntil(End& end) {
    Nodes nodes;
    while (Peek().kind != TokenKind::kEnd) {
      ASSIGN_OR_RETURN(Element element, ParseElement());
      end = element.end;
      if (end != End::kNone) return nodes;
      nodes.push_back(std::move(element.node));
    }
    return ErrorAt(Peek().position, "unexpected EOF");
  }

  absl::StatusOr<TemplateNode> Control(TemplateNode::Kind kind, absl::string_view word) {
    const Nesting nesting(depth_);
    RETURN_IF_ERROR(CheckNesting());
    const std::size_t variable_count = variables_.size();
    TemplateNode node;
    node.kind = kind;
    ASSIGN_OR_RETURN(node.pipeline, Pipeline(word, TokenKind::kRightDelim));
    node.place = node.pipeline->place;
    End end = End::kNone;
    if (kind == TemplateNode::Kind::kRange) ++range_depth_;
    absl::StatusOr<Nodes> body = NodesUntil(end);
    if (kind == TemplateNode::Kind::kRange) --range_depth_;
    RETURN_IF_ERROR(body.status());
    node.body = *std::move(body);
    if (end == End::kElse) RETURN_IF_ERROR(Else(kind, node));
    variables_.resize(variable_count);
    return node;
  }

  // What follows `{{else`; the `{{end}}` too. `{{else if` is an `if` in the else, which shares the end.
  absl::Status Else(TemplateNode::Kind kind, TemplateNode& node) {
    if (AtKeyword("if")) {
      if (kind != TemplateNode::Kind::kIf) return Unexpected(Peek(), "else");
      Next();
      ASSIGN_OR_RETURN(TemplateNode inner, Control(TemplateNode::Kind::kIf, "if"));
      node.otherwise.push_back(std::move(inner));
      return absl::OkStatus();
    }
    End end = End::kNone;
    ASSIGN_OR_RETURN(node.otherwise, NodesUntil(end));
    return end == End::kEnd ? absl::OkStatus() : Error("expected end; found {{else}}");
  }

  absl::StatusOr<std::string> TemplateName(absl::string_view context) {
    const Token& token = NextWord();
    if (token.kind != TokenKind::kString && token.kind != TokenKind::kRawString) return Unexpected(token, context);
    absl::StatusOr<ReportValue> name = ParseTemplateLiteral(token);
    if (!name.ok()) return Error(name.status().message());
    return name->AsString();
  }

  absl::StatusOr<TemplateNode> Call(absl::string_view context) {
    TemplateNode node;
    node.kind = TemplateNode::Kind::kTemplate;
    const std::size_t begin = last_->position;
    ASSIGN_OR_RETURN(node.text, TemplateName(context));
    node.place = PlaceFrom(begin);
    if (PeekWord().kind == TokenKind::kRightDelim) {
      Next();
    } else {
      ASSIGN_OR_RETURN(node.pipeline, Pipeline(context, TokenKind::kRightDelim));
    }
    return node;
  }

  // A call of a template that is defined on the spot.
  absl::StatusOr<TemplateNode> Block() {
    TemplateNode node;
    node.kind = TemplateNode::Kind::kTemplate;
    const std::size_t begin = last_->position;
    ASSIGN_OR_RETURN(node.text, TemplateName("block clause"));
    node.place = PlaceFrom(begin);
    ASSIGN_OR_RETURN(node.pipeline, Pipeline("block clause", TokenKind::kRightDelim));
    RETURN_IF_ERROR(Definition(node.text, "block clause"));
    return node;
  }

  absl::Status Define() {
    Next();
    NextWord();
    ASSIGN_OR_RETURN(const std::string name, TemplateName("define clause"));
    RETURN_IF_ERROR(Expect(TokenKind::kRightDelim, "define clause"));
    return Definition(name, "define clause");
  }

  // The body of a template of its own, up to its end.
  absl::Status Definition(const std::string& name, absl::string_view context) {
    const Nesting nesting(depth_);
    RETURN_IF_ERROR(CheckNesting());
    const std::vector<std::string> outer_variables = std::exchange(variables_, {"$"});
    const int outer_range_depth = std::exchange(range_depth_, 0);
    End end = End::kNone;
    ASSIGN_OR_RETURN(Nodes nodes, NodesUntil(end));
    variables_ = outer_variables;
    range_depth_ = outer_range_depth;
    if (end != End::kEnd) return Error(absl::StrCat("unexpected {{else}} in ", context));
    if (name.empty()) return Error(absl::StrCat("a template needs a name in ", context));
    if (!templates_.emplace(name, std::move(nodes)).second)
      return Error(absl::StrCat("multiple definition of template ", GoQuote(name)));
    return absl::OkStatus();
  }

  // ---- pipelines ----

  absl::StatusOr<std::unique_ptr<TemplatePipeline>> Pipeline(absl::string_view context, TokenKind end) {
    const Nesting nesting(depth_);
    RETURN_IF_ERROR(CheckNesting());
    auto pipeline = std::make_unique<TemplatePipeline>();
    const std::size_t begin = PeekWord().position;
    RETURN_IF_ERROR(Declarations(context, *pipeline));
    while (PeekWord().kind != end) {
      ASSIGN_OR_RETURN(TemplateCommand command, Command(context));
      pipeline->commands.push_back(std::move(command));
      if (PeekWord().kind == TokenKind::kPipe) Next();  // with nothing behind it, too
    }
    pipeline->place = PlaceFrom(begin);
    Next();
    if (pipeline->commands.empty()) return Error(absl::StrCat("missing value for ", context));
    for (std::size_t i = 1; i < pipeline->commands.size(); ++i)
      if (!CanTakeValue(pipeline->commands[i].terms.front()))
        return Error(absl::StrCat("non executable command in pipeline stage ", i + 1));
    return pipeline;
  }

  static bool CanTakeValue(const TemplateTerm& term) {
    return !term.fields.empty() || (term.kind != TemplateTerm::Kind::kDot && term.kind != TemplateTerm::Kind::kNil &&
                                    term.kind != TemplateTerm::Kind::kConstant);
  }

  // `$x :=`, `$x =`, with range also `$i, $x :=`. Nothing when a variable is only used.
  absl::Status Declarations(absl::string_view context, TemplatePipeline& pipeline) {
    while (PeekWord().kind == TokenKind::kVariable) {
      const std::size_t here = next_;
      const std::string variable(Next().text);
      const TokenKind follows = PeekWord().kind;
      if (follows != TokenKind::kDeclare && follows != TokenKind::kAssign && follows != TokenKind::kComma) {
        next_ = here;
        if (pipeline.variables.empty()) return absl::OkStatus();
        return Unexpected(PeekWord(), context);  // `$i, $x` and neither := nor =
      }
      Next();
      pipeline.variables.push_back(variable);
      variables_.push_back(variable);
      if (follows != TokenKind::kComma) {
        pipeline.assigns = follows == TokenKind::kAssign;
        return absl::OkStatus();
      }
      if (context != "range" || pipeline.variables.size() > 1)
        return Error(absl::StrCat("too many declarations in ", context));
      if (PeekWord().kind != TokenKind::kVariable) return Error("range can only initialize variables");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<TemplateCommand> Command(absl::string_view context) {
    TemplateCommand command;
    const std::size_t begin = PeekWord().position;
    while (true) {
      ASSIGN_OR_RETURN(std::optional<TemplateTerm> term, Term(context));
      const bool some = term.has_value();
      if (some) command.terms.push_back(*std::move(term));
      const TokenKind kind = Peek().kind;
      if (some && kind == TokenKind::kSpace) {
        SkipSpaces();
        continue;
      }
      if (kind == TokenKind::kRightDelim || kind == TokenKind::kRightParen || kind == TokenKind::kPipe) break;
      return Unexpected(Peek(), command.terms.empty() ? context : "operand");
    }
    if (command.terms.empty()) return ErrorAt(begin, "empty command");
    command.place = PlaceFrom(begin);
    return command;
  }

  // A word and its fields; none before the end of a command.
  absl::StatusOr<std::optional<TemplateTerm>> Term(absl::string_view context) {
    TemplateTerm term;
    const Token& token = PeekWord();
    const std::size_t begin = token.position;
    switch (token.kind) {
      case TokenKind::kDot:
        break;
      case TokenKind::kField:
        term.fields.emplace_back(token.text.substr(1));
        break;
      case TokenKind::kNil:
        term.kind = TemplateTerm::Kind::kNil;
        break;
      case TokenKind::kVariable:
        term.kind = TemplateTerm::Kind::kVariable;
        term.name = std::string(token.text);
        if (std::find(variables_.begin(), variables_.end(), term.name) == variables_.end())
          return ErrorAt(begin, absl::StrCat("undefined variable ", GoQuote(term.name)));
        break;
      case TokenKind::kIdentifier:
        term.kind = TemplateTerm::Kind::kFunction;
        term.name = std::string(token.text);
        if (!IsTemplateFunction(term.name))
          return ErrorAt(begin, absl::StrCat("function ", GoQuote(term.name), " not defined"));
        break;
      case TokenKind::kBool:
      case TokenKind::kNumber:
      case TokenKind::kCharacter:
      case TokenKind::kString:
      case TokenKind::kRawString: {
        term.kind = TemplateTerm::Kind::kConstant;
        absl::StatusOr<ReportValue> constant = ParseTemplateLiteral(token);
        if (!constant.ok()) return ErrorAt(begin, constant.status().message());
        term.constant = *std::move(constant);
        break;
      }
      case TokenKind::kLeftParen:
        term.kind = TemplateTerm::Kind::kPipeline;
        break;
      case TokenKind::kRightDelim:
      case TokenKind::kRightParen:
      case TokenKind::kPipe:
        return std::nullopt;
      default:
        return Unexpected(token, context);
    }
    Next();
    if (term.kind == TemplateTerm::Kind::kPipeline) {
      ASSIGN_OR_RETURN(term.pipeline, Pipeline("parenthesized pipeline", TokenKind::kRightParen));
    }
    RETURN_IF_ERROR(Fields(term, begin));
    return term;
  }

  absl::Status Fields(TemplateTerm& term, std::size_t begin) {
    std::size_t position = begin;
    if (Peek().kind == TokenKind::kField) {
      const bool literal = !CanTakeValue(term);
      if (literal)
        return Error(absl::StrCat("unexpected . after term ", GoQuote(text_.substr(begin, EndOf(*last_) - begin))));
      position = Peek().position;
    }
    while (Peek().kind == TokenKind::kField) term.fields.emplace_back(Next().text.substr(1));
    term.place = {position, begin, EndOf(*last_)};
    return absl::OkStatus();
  }

  const absl::string_view text_;
  const std::vector<Token> tokens_;  // the last one is kEnd or kError
  std::size_t next_ = 0;
  const Token* last_ = &tokens_.front();  // taken; no blank
  int depth_ = 0;
  int range_depth_ = 0;
  std::vector<std::string> variables_ = {"$"};  // that may be used here
  TemplateSet templates_;
};

}  // namespace

absl::StatusOr<TemplateSet> ParseTemplate(absl::string_view text) { return Parser(text).Run(); }

std::string TemplateMessage(absl::string_view message) {
  constexpr std::size_t kMaxSize = 400;
  std::string line = absl::StrCat(message.substr(0, kMaxSize), message.size() > kMaxSize ? "..." : "");
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return absl::ascii_iscntrl(c); }, ' ');
  return line;
}

std::string TemplateLineAndColumn(absl::string_view text, std::size_t position) {
  const absl::string_view before = text.substr(0, position);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t newline = before.rfind('\n');
  return absl::StrCat(line, ":", newline == absl::string_view::npos ? position : position - newline - 1);
}

}  // namespace weave
