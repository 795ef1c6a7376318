#include "peer/template_lexer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "peer/go_text.h"

namespace weave {
namespace {

constexpr absl::string_view kLeft = "{{";
constexpr absl::string_view kRight = "}}";
constexpr absl::string_view kSpaces = " \t\r\n";
constexpr std::array<absl::string_view, 10> kKeywords = {"block", "break", "continue", "define",   "else",
                                                         "end",   "if",    "range",    "template", "with"};

bool IsSpace(char c) { return kSpaces.find(c) != absl::string_view::npos; }

// Letters beyond ASCII are not told from other characters there.
bool IsWordCharacter(char c) { return absl::ascii_isalnum(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80; }

class Lexer {
 public:
  explicit Lexer(absl::string_view text) : text_(text) {}

  std::vector<Token> Run() && {
    while (Text() && Action()) {
    }
    return std::move(tokens_);
  }

 private:
  absl::string_view Rest() const { return text_.substr(position_); }
  char Peek(std::size_t ahead = 0) const { return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0'; }
  bool AtEnd() const { return position_ >= text_.size(); }

  // ` -}}`: blanks before the action's end that swallow those after it.
  bool AtTrimmingEnd() const { return IsSpace(Peek()) && Peek(1) == '-' && absl::StartsWith(Rest().substr(2), kRight); }
  bool AtActionEnd() const { return absl::StartsWith(Rest(), kRight) || AtTrimmingEnd(); }

  void Emit(TokenKind kind, std::size_t size) {
    tokens_.push_back({kind, position_, Rest().substr(0, size), ""});
    position_ += size;
  }

  bool Fail(std::string error) {
    tokens_.push_back({TokenKind::kError, position_, "", std::move(error)});
    return false;
  }

  void SkipSpaces() { position_ = std::min(text_.find_first_not_of(kSpaces, position_), text_.size()); }

  // Up to the next action. False at the end of the template.
  bool Text() {
    const std::size_t left = std::min(text_.find(kLeft, position_), text_.size());
    absl::string_view text = text_.substr(position_, left - position_);
    // Blanks that `{{- ` swallows.
    const bool trim = left + 3 < text_.size() && text_[left + 2] == '-' && IsSpace(text_[left + 3]);
    if (trim) text = text.substr(0, text.find_last_not_of(kSpaces) + 1);
    if (!text.empty()) Emit(TokenKind::kText, text.size());
    position_ = left;
    if (!AtEnd()) return true;
    Emit(TokenKind::kEnd, 0);
    return false;
  }

  // From `{{` to `}}`. False after an error.
  bool Action() {
    const std::size_t trim_size = Peek(2) == '-' && IsSpace(Peek(3)) ? 2 : 0;
    if (absl::StartsWith(Rest().substr(kLeft.size() + trim_size), "/*")) return Comment(kLeft.size() + trim_size);
    Emit(TokenKind::kLeftDelim, kLeft.size());
    position_ += trim_size;
    parens_ = 0;
    while (!AtActionEnd())
      if (!Inside()) return false;
    if (parens_ > 0) return Fail("unclosed left paren");
    CloseAction();
    return true;
  }

  void CloseAction() {
    const bool trim = AtTrimmingEnd();
    if (trim) position_ += 2;
    Emit(TokenKind::kRightDelim, kRight.size());
    if (trim) SkipSpaces();
  }

  bool Comment(std::size_t opening_size) {
    const std::size_t end = text_.find("*/", position_ + opening_size + 2);
    if (end == absl::string_view::npos) return Fail("unclosed comment");
    position_ = end + 2;
    if (!AtActionEnd()) return Fail("comment ends before closing delimiter");
    CloseAction();
    tokens_.pop_back();
    return true;
  }

  // One token within an action. False after an error.
  bool Inside() {
    if (AtEnd()) return Fail("unclosed action");
    const char c = Peek();
    if (IsSpace(c)) return Space();
    switch (c) {
      case '=':
        return Simple(TokenKind::kAssign, 1);
      case ':':
        return Peek(1) == '=' ? Simple(TokenKind::kDeclare, 2) : Fail("expected :=");
      case '|':
        return Simple(TokenKind::kPipe, 1);
      case ',':
        return Simple(TokenKind::kComma, 1);
      case '(':
        ++parens_;
        return Simple(TokenKind::kLeftParen, 1);
      case ')':
        if (--parens_ < 0) return Fail("unexpected right paren");
        return Simple(TokenKind::kRightParen, 1);
      case '"':
        return Quoted(TokenKind::kString, "unterminated quoted string");
      case '\'':
        return Quoted(TokenKind::kCharacter, "unterminated character constant");
      case '`':
        return RawString();
      case '$':
        return Word(TokenKind::kVariable);
      case '.':
        return absl::ascii_isdigit(Peek(1)) ? Number() : Word(TokenKind::kField);
      default:
        break;
    }
    if (absl::ascii_isdigit(c) || c == '+' || c == '-') return Number();
    if (IsWordCharacter(c)) return Word(TokenKind::kIdentifier);
    const Rune rune = FirstRune(Rest());
    return Fail(absl::StrFormat("unexpected bad character U+%04X%s", rune.code,
                                absl::ascii_isprint(c) ? absl::StrCat(" '", absl::string_view(&c, 1), "'") : ""));
  }

  bool Simple(TokenKind kind, std::size_t size) {
    Emit(kind, size);
    return true;
  }

  // Blanks; the last of them belongs to ` -}}` if that follows.
  bool Space() {
    const std::size_t begin = position_;
    SkipSpaces();
    if (Peek() == '-' && absl::StartsWith(Rest().substr(1), kRight)) --position_;
    const std::size_t size = position_ - begin;
    position_ = begin;
    return Simple(TokenKind::kSpace, size);
  }

  bool Quoted(TokenKind kind, const char* unterminated) {
    const char quote = Peek();
    std::size_t size = 1;
    for (; Peek(size) != quote; ++size) {
      if (Peek(size) == '\\') ++size;
      if (position_ + size >= text_.size() || Peek(size) == '\n') return Fail(unterminated);
    }
    return Simple(kind, size + 1);
  }

  bool RawString() {
    const std::size_t end = text_.find('`', position_ + 1);
    if (end == absl::string_view::npos) return Fail("unterminated raw quoted string");
    return Simple(TokenKind::kRawString, end + 1 - position_);
  }

  // Digits of every base, signs, points, exponents: the parser knows which of them are numbers.
  bool Number() {
    std::size_t size = Peek() == '+' || Peek() == '-' ? 1 : 0;
    const bool hex = Peek(size) == '0' && (Peek(size + 1) == 'x' || Peek(size + 1) == 'X');
    for (; IsWordCharacter(Peek(size)) || Peek(size) == '.'; ++size) {
      const char c = Peek(size);
      const bool exponent = hex ? c == 'p' || c == 'P' : c == 'e' || c == 'E';
      if (exponent && (Peek(size + 1) == '+' || Peek(size + 1) == '-')) ++size;
    }
    return Simple(TokenKind::kNumber, size);
  }

  // A name, with `.` or `$` before it or alone.
  bool Word(TokenKind kind) {
    std::size_t size = kind == TokenKind::kIdentifier ? 0 : 1;
    const std::size_t prefix_size = size;
    while (IsWordCharacter(Peek(size))) ++size;
    const absl::string_view word = Rest().substr(0, size);
    if (!AtTerminator(size)) {
      const Rune rune = FirstRune(Rest().substr(size));
      return Fail(absl::StrCat("bad character ", absl::StrFormat("U+%04X", rune.code), " '",
                               Rest().substr(size, rune.size), "'"));
    }
    if (kind == TokenKind::kField && size == prefix_size) kind = TokenKind::kDot;
    if (kind == TokenKind::kIdentifier) {
      if (std::find(kKeywords.begin(), kKeywords.end(), word) != kKeywords.end()) kind = TokenKind::kKeyword;
      if (word == "true" || word == "false") kind = TokenKind::kBool;
      if (word == "nil") kind = TokenKind::kNil;
    }
    return Simple(kind, size);
  }

  // Whether a name may end before the character `ahead` of here.
  bool AtTerminator(std::size_t ahead) const {
    if (position_ + ahead >= text_.size() || IsSpace(Peek(ahead))) return true;
    return absl::string_view(".,|:)(").find(Peek(ahead)) != absl::string_view::npos ||
           absl::StartsWith(Rest().substr(ahead), kRight);
  }

  const absl::string_view text_;
  std::size_t position_ = 0;
  int parens_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> Tokenize(absl::string_view text) { return Lexer(text).Run(); }

}  // namespace weave
