"""The sentences in Korean."""

from __future__ import annotations

KOREAN: dict[str, str] = {
    # headings
    "document.title": "신경망 {network}의 역전파",
    "heading.overview": "한눈에 보기",
    "heading.overview_results": "간추린 결과",
    "heading.theorem": "정리",
    "heading.proof": "증명: 출력에서 입력 쪽으로",
    "heading.forward": "순전파 식",
    "heading.error": "오차",
    "heading.backward": ("미분: 출력에서 입력 쪽으로"),
    "heading.slopes": "오차가 거꾸로 전해지면서 어떻게 변하는가",
    "heading.stable": "오버플로 없이 계산하기",
    "heading.batch": "배치에 대한 평균",
    "heading.update": "갱신 규칙",
    "heading.trainer": "학습 프로그램에만 필요한 것",
    "heading.arrays": "배치에 대한 행렬 식",
    "heading.initial": "가중치의 초깃값",
    "heading.results": "결과 모음",
    "results.left_out": "이 밖의 결과 {count}개는 전체 유도에 단계와 함께 있다.",
    "heading.assumed": "가정한 것",
    "heading.holds": "가정한 것과 증명한 것",
    "heading.derivative": "도함수",
    "heading.formula": "결과",
    "heading.number": "단계",
    # introductions
    "given.quantities": ("주어진 양은 다음과 같다. {quantities:이다/다}."),
    "given.inputs": ("입력 {quantities:이다/다}."),
    "given.targets": ("목표값 {quantities:이다/다}."),
    "given.parameters": ("매개변수 {quantities:이다/다}."),
    "given.constants": ("상수 {quantities:이다/다}."),
    "given.vector": ("벡터는 매개변수마다 한 부분을 가진다. {quantities:이다/다}."),
    "given.states": (
        "상태 {quantities:이다/다}. 상태는 미분에 따라서가 아니라 학습 단계마다 식에 따라 바뀐다."
    ),
    "given.noise": ("학습 단계마다 새로 뽑는 {quantities:이다/다}."),
    "drawn.normal": "{quantity:은/는} 표준편차가 {deviation}인 정규분포에서 뽑는다.",
    "drawn.uniform": "{quantity:은/는} {low}부터 {high}까지의 균등분포에서 뽑는다.",
    "drawn.bernoulli": "{quantity:은/는} 확률 {probability:으로/로} 1이고, 아니면 0이다.",
    "given.shape": ("{quantity}의 모양은 {shape}"),
    "given.scalar": ("{quantity:은/는} 스칼라"),
    "given.names": ("코드와 파일에서 매개변수의 번호는 그 블록이 쓰인 차례를 나타낸다: {names}."),
    "given.name": "{quantity:은/는} {names}",
    "given.values": "여기서 {values:이다/다}.",
    "given.units": (
        "{sum:은/는} 뉴런이 받는 입력의 가중합이고, {output:은/는} 뉴런이 내보내는 활성값이다. "
        "{weight:은/는} 첫째 첨자의 뉴런에서 둘째 첨자의 뉴런으로 가는 가중치이다."
    ),
    "given.layers": ("문자에 붙은 수는 층 번호이며, {input:은/는} 입력이다."),
    "given.indices": "첨자마다 값의 개수가 정해져 있다: {ranges}.",
    "given.index": "{indices:은/는} {size}개",
    # the first page
    "idea.layers.1": (
        "먼저 {error:을/를} 구한다. 층의 뉴런이 받는 값이 변할 때 E가 얼마나 변하는지를 나타낸다."
    ),
    "idea.layers.2": (
        "여기에 가중치를 거쳐 들어온 값 {input:을/를} 곱하면 그 가중치로 미분한 값 {weight:이/가} 된다."
    ),
    "idea.layers.3": "한 층의 값은 바로 뒤 층의 값에서 나오므로, 같은 두 식이 모든 층에 통한다.",
    "idea.layers.4": (
        "그래서 오차에서 거꾸로 계산한다. 가중치를 하나씩 바꾸어 보면 순전파가 가중치 수만큼 필요하지만, "
        "이렇게 하면 순전파 두 번 정도의 비용으로 모든 도함수를 얻는다."
    ),
    "idea.quantities.1": (
        "{loss:을/를} 어떤 양으로 미분한 값은 그 양이 변할 때 {loss:이/가} 얼마나 변하는지를 나타낸다."
    ),
    "idea.quantities.2": (
        "어떤 양은 그것을 쓰는 양을 거쳐서만 {loss}에 영향을 준다. 따라서 그 도함수는 그것을 쓰는 양마다 "
        "그 도함수에 국소 도함수를 곱해 모두 더한 것이다."
    ),
    "idea.quantities.3": "매개변수도 마찬가지이며, 길은 거기서 끝난다.",
    "idea.quantities.4": (
        "그래서 {loss}에서 거꾸로 계산한다. 각 도함수는 앞에서 구한 것만 쓰므로, 순전파 두 번 정도의 "
        "비용으로 모든 도함수를 얻는다."
    ),
    "why.outputs": "출력층의 오차이다.",
    "why.sum": "한 층의 오차이다. 다음 층의 오차가 가중치를 거쳐 돌아오고, 활성화 함수의 기울기가 곱해진다.",
    "why.weight": "가중치는 들어온 값에 곱해지므로, 도함수는 오차에 그 값을 곱한 것이다.",
    "why.bias": "편향은 더해지므로, 도함수는 오차 그 자체이다.",
    "algorithm.introduction": "차례는 다음과 같다.",
    "algorithm.forward": "{numbers:을/를} 차례로 계산하고 모든 값을 남겨 둔다.",
    "algorithm.start": "{number}에 따라 {derivative:을/를} 구하며 오차에서 시작한다.",
    "algorithm.back": "그 순서를 거슬러 간다. 각 도함수는 이미 구한 것만 쓴다.",
    "algorithm.results": "구하려는 {numbers:은/는} 그 길에서 얻는다.",
    "algorithm.update": (
        "배치에서는 평균 {mean:을/를} 쓰고, 모든 매개변수를 {update:으로/로} 갱신한 뒤 되풀이한다."
    ),
    "section.outside": "그 밖의 식",
    "value.section": "{of}의 도함수",
    "value.derivative": "{quantity:은/는} {derivative}이며, 이를 구하는 단계는 아래에 있다.",
    "value.none": "{quantity:은/는} {derivative}이다. {of:은/는} {variable}에 의존하지 않는다.",
    "value.left": "학습의 한 단계가 {state}에 남기는 값이다.",
    "use.section": "사용할 때",
    "use.introduction": (
        "위의 식은 학습하는 동안의 신경망이다. 출력을 구하거나 다른 데이터의 오차를 구할 때에는 아래의 식이 "
        "위의 식을 대신하며, 나머지는 그대로이다."
    ),
    "use.computed": ("오버플로 없이, 그리고 배치에 대해 계산하는 꼴:"),
    "value.held": "{quantity:은/는} 고정된 값이다. 이를 계산한 값들로는 도함수가 전해지지 않는다.",
    "given.circle": (
        "{quantities:은/는} 서로 돌아가며 {letter:을/를} 따라 다른 자리의 값을 읽는다. "
        "{letter} = {first}부터 {letter} = {last}까지 한 자리씩 차례로 계산한다."
    ),
    "backward.circle": (
        "역전파는 {letter:을/를} 거꾸로 지나 {letter} = {last}부터 {letter} = {first}까지 간다. "
        "다른 자리의 미분은 그 자리에서 되돌아오는 몫이다. "
        "곁의 조건에 맞는 자리가 없는 끝에서는 아무것도 오지 않는다."
    ),
    "given.counted": "성분은 NumPy에서처럼 0부터 세며, 그림의 뉴런도 그렇다.",
    "given.biases": "그림에서 점선은 편향이며, 값이 언제나 1인 뉴런에서 나온다.",
    "note.shape": "모양 {shape}",
    "note.scalar": ("스칼라"),
    "run.note": "{layers} 층은 모두 같은 꼴이다. 먼저 임의의 {layer}에 대해 적고, 이어서 층마다 적는다.",
    "run.numbers": ("층마다 같은 단계를 거친다. 단계 번호: {steps}. 결과는 다음과 같다."),
    "run.steps": "{layer}일 때 {first}부터 {last}까지",
    "run.between": "; ",
    "run.row": "{number}, …",
    "run.given": "{quantities} ({layers})",
    "error.introduction": (
        "{loss:은/는} 출력이 목표값에서 얼마나 벗어났는지를 하나의 수로 나타낸다. 학습이란 이 값을 줄이는 "
        "일이다."
    ),
    "error.without_targets": (
        "{loss:은/는} 학습이 줄이려는 하나의 수이다. 목표값은 없고, 계산된 양에서 바로 정해진다."
    ),
    "error.along": (
        "{slope:은/는} {vectors:을/를} 모두 모은 벡터를 따라 {loss:이/가} 얼마나 변하는지, 즉 기울기와 그 "
        "벡터의 곱이다. 이것을 매개변수로 미분한 {derivatives:이/가} {loss}의 헤세 행렬과 그 벡터의 곱이다."
    ),
    "error.term": "출력 하나가 {loss}에 더하는 값은 {term:이다/다}.",
    "error.right": "{target}일 때 정답에 가까워지면, 즉 {output}이면 오차의 극한은 {error:이다/다}.",
    "error.wrong": "오답에 가까워지면, 즉 {output}이면 오차의 극한은 {error:이다/다}.",
    "error.infinite": (
        "오답에 가까워지면, 즉 {output}이면 오차의 극한은 {error:이다/다}. 확신에 차서 틀리면 벌점이 한없이 "
        "커진다."
    ),
    "error.constant": "{target}일 때는 {name}의 값이 무엇이든 오차가 {error:이다/다}.",
    "error.penalty": (
        "{strengths:이/가} 든 항은 가중치만으로 정해진다. 가중치가 커지지 않게 하여 신경망이 표본 하나하나를 "
        "외우는 것을 막는다."
    ),
    "backward.errors": (
        "가중합에 대한 미분은 따로 기호를 정해 {error:으로/로} 쓴다. 그 뜻은 {derivative:이다/다}."
    ),
    "backward.matrix": (
        "결과는 벡터와 행렬로 적는다. 벡터를 행렬로 미분하면 첨자가 셋이 되므로 중간 단계는 성분으로 "
        "적는다. 함수와 분수는 성분마다 따로 계산한다."
    ),
    "backward.sought": "구할 것: {derivatives}.",
    "backward.symmetric": "이계도함수는 두 매개변수의 순서와 상관없이 같으므로 쌍마다 한 번만 적는다.",
    "backward.introduction": (
        "단계의 묶음마다 도함수를 하나씩 구하고, 그 결과를 적은 줄에 표시를 해 둔다. 앞에서 구한 도함수는 "
        "그대로 쓴다. 표시한 줄 다음에 나오는 단계는 같은 결과를 끝까지 풀어 쓴 것이다."
    ),
    "theorem.given": (
        "신경망에는 층이 {depth}개 있고, 층마다 뉴런 수는 얼마여도 된다. 층 번호 {layer}도 첨자로 쓴다."
    ),
    "theorem.statement": (
        "식 {first}부터 {last}까지에 대하여 {loss}의 미분은 다음과 같다. 은닉층의 미분은 그다음 층의 "
        "미분으로 나타내므로, 마지막 층에서 첫 층까지 한 번 지나면 모두 구해진다."
    ),
    "theorem.matrices": "표본 하나에 대하여 벡터와 행렬로 적으면 다음과 같다.",
    "theorem.drawing": (
        "왼쪽부터 차례로 늘어선 뉴런의 열: 입력, 줄임표, 층 ℓ-1, ℓ, ℓ+1, 줄임표, 마지막 층 L. 맨 "
        "오른쪽은 오차이다. 각 뉴런은 다음 열의 모든 뉴런에 값을 보낸다."
    ),
    "theorem.hidden": "은닉층 {layers}:",
    "theorem.last": "마지막 층과 오차:",
    "theorem.base": ("귀납의 기초: 오차를 바로 아는 마지막 층."),
    "theorem.step": (
        "귀납 단계: {known:을/를} 안다고 하자. {loss:은/는} {through:을/를} 거쳐서만 {layer}번째 층에 "
        "의존하므로, 오차에 대해 더 알아야 할 것은 없다. {through:은/는} 식 {own}에서 {layer} 대신 "
        "{following:을/를} 넣은 것이고, 마지막 층에서는 식 {last:이다/다}."
    ),
    "theorem.conclusion": "귀납법에 따라 마지막 층에서 첫 층까지, 즉 모든 {layers}에 대해 이 식이 성립한다.",
    "theorem.title": "층이 L개인 신경망: {hidden}, 마지막 층은 {output}, 오차는 {loss}",
    "theorem.all": (
        "{steps}단계를 모두 증명했다. 층이 {first}개에서 {last}개인 신경망마다 따로 구한 도함수와도 일치한다."
    ),
    "theorem.checked": (
        "{steps}단계 가운데 {proved}단계를 증명했다. 층이 {first}개에서 {last}개인 신경망마다 따로 구한 "
        "도함수와도 일치한다."
    ),
    "slopes.introduction": (
        "오차가 거꾸로 전해질 때 활성화 함수를 지날 때마다 그 기울기가 곱해진다. 따라서 기울기의 범위를 "
        "알면 오차가 얼마나 멀리까지 전해지는지 알 수 있다."
    ),
    "slopes.bounds": "{slopes}의 범위는 {interval}이다. 오차에 곱해지는 값은 최대 {largest:이다/다}.",
    "slopes.unbounded": "{slopes}의 범위는 {interval}이다. 오차에 곱해지는 값에 한계가 없다.",
    "slopes.cancels": "{slopes}의 범위는 {interval}이지만, 오차의 도함수와 약분되므로 오차를 줄이지 않는다.",
    "slopes.product": "마지막 층에서 첫 층까지 기울기를 모두 곱한 값은 최대 {product:이다/다}.",
    "slopes.vanish": (
        "가중치가 이를 메워 주지 않으면 앞쪽 층의 도함수는 그만큼 작아지고, 앞쪽 층은 그만큼 느리게 "
        "학습한다. 이것이 기울기 소실이다."
    ),
    "slopes.keep": (
        "기울기만으로는 오차가 커지지 않는다. 그러나 기울기가 최댓값보다 작은 곳에서는 가중치가 메워 주지 "
        "않는 한 오차가 층마다 줄어든다."
    ),
    "slopes.explode": "따라서 기울기만으로도 오차가 층마다 커질 수 있다. 이것이 기울기 폭발이다.",
    "stable.introduction": (
        "아래 식은 위의 식과 값이 같다. 코드에는 log(1 + exp(z))와 지수의 합의 로그를 오버플로도 "
        "자릿수 손실도 없이 계산하는 연산이 있다."
    ),
    "batch.introduction": (
        "지금까지 {loss:은/는} 표본 하나의 오차였다. 표본 {samples}개로 된 배치에서 표본 번호를 "
        "{sample:이라/라} 하면, {loss:은/는} 표본마다의 오차 {own}의 평균이다."
    ),
    "arrays.layers": (
        "같은 식을 행렬의 곱으로 적는다. 표본마다 다른 양은 표본마다 한 행을 차지하여, {sample}번째 행이 "
        "표본 {samples}개 가운데 {sample}번째 표본의 것이다. {errors:은/는} 가중합에 대한 도함수를 모은 "
        "행렬이다. 표본에 대한 합은 행렬 곱의 안쪽 차원이 맡는다."
    ),
    "arrays.plain": (
        "같은 식을 행렬의 곱이나 곱의 합으로 적을 수 있으면 배열 전체로 적는다. 표본마다 다른 양은 첫째 "
        "축이 표본이다."
    ),
    "arrays.product": "{mark:은/는} 성분마다 곱한다는 뜻이다.",
    "arrays.ones": "{mark:은/는} 성분이 모두 1인 벡터로, 곱해지는 것을 모두 더하거나 되풀이한다.",
    "arrays.einsum": (
        "einsum은 각 인수의 축마다 문자를 하나씩 두고, 곱한 다음 결과에 없는 문자에 대하여 모두 더한다."
    ),
    "arrays.code": "식마다 그 식을 계산하는 생성된 모듈의 줄을 함께 적는다.",
    "arrays.held": "각 {indices}에 대하여",
    "descent.component": (
        "매개변수의 성분 하나를 {parameter}, {loss:을/를} {parameter:으로/로} 미분한 값을 "
        "{derivative:이라/라} 하자."
    ),
    "descent.gradient": (
        "이 미분을 모두 모은 것이 기울기 벡터(그래디언트)이다. 매개변수 공간에서 {loss:이/가} 가장 빨리 "
        "커지는 방향을 가리키고, 그 길이는 얼마나 빨리 커지는지를 나타낸다."
    ),
    "descent.step": (
        "경사 하강법은 그 반대 방향으로 조금 움직인다. 즉 {parameter:은/는} {change}만큼 바뀌며, 여기서 "
        "{rate:이/가} 학습률이다. 보폭이 작으면 {loss:은/는} 일차 근사로 모든 성분에 대한 {fall}의 합만큼 "
        "줄고, 보폭이 같다면 다른 어떤 방향으로 가도 이보다 더 줄지 않는다."
    ),
    "descent.other": (
        "단순한 경사 하강법이라면 그 반대 방향으로 조금 움직여 {parameter:이/가} {change}만큼 바뀐다. "
        "아래의 최적화 방법도 내리막으로 가지만, 보폭과 방향을 지금까지의 미분에서 정한다."
    ),
    "descent.stochastic": (
        "정확한 기울기 벡터는 모든 데이터에 대한 평균이다. 확률적 경사 하강법은 무작위로 뽑은 작은 배치에 "
        "대한 평균을 쓴다. 평균적으로는 맞고 계산은 훨씬 싸며, 그 잡음 덕분에 나쁜 극소점에서 벗어나기도 "
        "한다."
    ),
    "descent.rate": (
        "학습률은 보폭을 정한다. 너무 작으면 학습이 한없이 느리고, 너무 크면 최솟값을 지나쳐 {loss:이/가} "
        "오히려 커진다."
    ),
    "update.introduction": (
        "갱신 후의 값에는 프라임(′)을 붙인다. 최적화 방법은 {optimizer}이며, 따로 정하지 않을 때의 설정은 "
        "다음과 같다: {settings}."
    ),
    "update.here": (
        "갱신 후의 값에는 프라임(′)을 붙인다. 최적화 방법은 {optimizer}이며, 여기서는 {settings:이다/다}."
    ),
    "update.count": (" 갱신 횟수는 {step}이며 1부터 센다."),
    "initial.introduction": (
        "가중치는 무작위로 시작한다. 그렇지 않으면 한 층의 모든 뉴런이 똑같은 것을 배운다. 신호의 세기가 "
        "층을 지나도 유지되는지는 가중치의 분산이 정한다. 편향이 있으면 0에서 시작한다."
    ),
    "initial.line": "{initializer} ({activations}): {variances}. {reason}",
    "initial.plain": "{initializer}: {variances}. {reason}",
    "initial.variance": "{weights}의 분산은 {formula}",
    "initial.both": (
        "뉴런은 입력의 수만큼 항을 더하므로 분산이 1/(입력의 수)이면 신호의 세기가 유지된다. 거꾸로 갈 때 "
        "오차는 출력의 수만큼 항을 더한다. 이 값은 둘 사이의 절충이다."
    ),
    "initial.half": (
        "뉴런은 입력의 수만큼 항을 더한다. 정규분포를 따르는 신호의 세기, 즉 제곱의 평균 가운데 전해지는 "
        "몫은 {shares}이며, 2를 곱하면 절반이 메워진다."
    ),
    "initial.share": "{activation}에서 {share}",
    "initial.relu": (
        "뉴런은 입력의 수만큼 항을 더한다. relu는 정규분포를 따르는 신호의 제곱의 평균을 절반만 전하므로 "
        "2를 곱해 메운다."
    ),
    "initial.forward": "뉴런은 입력의 수만큼 항을 더하므로 이 분산이 신호의 세기를 유지한다.",
    "initial.length": "서로 직교하는 방향은 모든 신호의 길이를 유지한다.",
    "initial.small": "층의 크기를 보지 않는 작은 수이며, 신호의 세기는 유지되지 않는다.",
    "initial.none": "한 층의 모든 뉴런이 똑같이 시작해 똑같이 남는다. 비교를 위한 것일 뿐이다.",
    # the names of the rules
    "rule.chain rule": "연쇄 법칙",
    "rule.local derivative": "국소 미분",
    "rule.closed form": "출력값으로 나타내기",
    "rule.simplification": "정리",
    "rule.folding": "아는 값으로 묶기",
    "rule.product": "대입",
    "rule.contraction": "합 정리",
    "rule.cancellation": "약분",
    "rule.fact": "가정",
    "rule.no path": "경로 없음",
    "rule.no effect": "영향 없음",
    "rule.substitution": "대입",
    "rule.stable form": "안정된 꼴",
    "rule.batch mean": "배치 평균",
    "rule.update": "갱신",
    "rule.kept": "척도 바꾸기",
    "rule.rescaling": "척도 바꾸기",
    # what was done, and why it may be done
    "chain.one": "{loss:은/는} {through:을/를} 거쳐서만 {quantity}에 의존한다.",
    "chain.feeds": "{quantity:은/는} 모든 {through}에 들어가므로 변화를 {indices}에 대해 더한다.",
    "chain.ways": (
        "{loss:은/는} 여러 길로 {quantity}에 의존한다. {through:을/를} 거치는 길들이며, 그 변화를 더한다."
    ),
    "chain.direct": (
        "{loss:은/는} 두 길로 {quantity}에 의존한다. {through:을/를} 거치는 길과 직접 가는 길이다. 두 "
        "변화를 더한다."
    ),
    "chain.several": (
        "{loss:은/는} 여러 길로 {quantity}에 의존한다. {through:을/를} 거치는 길들과 직접 가는 길이다. "
        "그 변화를 모두 더한다."
    ),
    "local.plain": "식 {number:을/를} {quantity}에 대해 미분한다.",
    "local.sum": "식 {number:을/를} {quantity}에 대해 미분한다. {quantity:이/가} 든 항만 남는다.",
    "local.term": "식 {number}에서 {quantity:이/가} 직접 든 부분을 미분한다.",
    "kink.kink": "{place}에서는 꺾이므로 {value:으로/로} 정한다.",
    "kink.jump": "{place}에서는 끊어져 있으므로 {value:으로/로} 정한다.",
    "kink.first": "가장 큰 값이 여럿이면 첫째 것에만 전한다.",
    "kink.assumed": "{numbers}: {place}에서 {derivative}의 값은 {value:으로/로} 정한다.",
    "assumed.fact": "{numbers}: 모든 표본의 목표값에 대해 {fact}.",
    "local.delta": "여기서 {delta:은/는} 두 첨자가 같으면 1, 다르면 0이다.",
    "closed": "식 {number}에 따라, 이미 아는 값인 {output:으로/로} 나타낼 수 있다.",
    "folding": "식 {number}에 따르면 이 안에 이미 아는 {quantity}의 값이 들어 있다.",
    "folding.cancel": "식 {number}에 따라 항들이 서로 지워진다.",
    "simplification": "같은 식을 더 짧게 적은 것이다.",
    "insert": "식 {numbers:을/를} 대입한다.",
    "insert.sum": (
        "식 {numbers:을/를} 대입한다. {quantity:이/가} 들어가는 모든 곳, 즉 {indices}에 대한 합이 남는다."
    ),
    "insert.delta": "식 {numbers:을/를} 대입한다. {delta:이/가} 합에서 항 하나를 골라낸다.",
    "insert.cancel": "식 {numbers:을/를} 대입한다. 분모와 분자의 같은 인수가 약분된다.",
    "insert.shorter": "식 {numbers:을/를} 대입한다. 나누던 것이 없어진다.",
    "cancel": "분모와 분자의 같은 인수가 약분된다.",
    "no effect": "{quantity:이/가} 들어가는 모든 양에 대해 도함수가 0이다.",
    "no path": (
        "{loss:은/는} {quantity}에 의존하지 않는다. "
        "{loss:을/를} 구하는 데 쓰이는 어떤 식도 이것을 읽지 않는다."
    ),
    "fact": "데이터에 대해 {fact:이라고/라고} 가정했기 때문이다.",
    "stable": "식 {number} 대신 쓴다.",
    "batch": "식 {number:을/를} 표본에 대해 평균한 것이다.",
    "update.state": "{quantity:은/는} 성분마다 하나씩 있고 0에서 시작한다.",
    "update.parameter": "{quantity}의 새 값이다.",
    "update.mean": (
        "{quantity:은/는} {of}의 이동 평균이다. 배치 하나의 미분에는 잡음이 섞이지만, 그 평균은 갈 방향을 "
        "알려 준다."
    ),
    "update.mean_square": (
        "{quantity:은/는} {of}의 이동 평균이다. 부호와 상관없이 미분이 보통 얼마나 큰지를 나타낸다."
    ),
    "update.total": (
        "{quantity:은/는} 지금까지의 모든 단계에 걸친 {of}의 합이다. 많이 움직인 성분일수록 보폭이 짧아진다."
    ),
    "update.velocity": (
        "{quantity:은/는} 지금까지의 미분을 더한 것으로, 한 단계가 지날 때마다 지난 미분에는 {share:이/가} "
        "곱해진다. 방향이 같은 것은 쌓이고 오락가락하는 것은 서로 지워진다."
    ),
    "update.scaled": (
        "이 제곱근은 미분의 보통 크기와 비슷하므로, 그것으로 나누면 미분의 척도와 상관없이 모든 성분의 "
        "보폭이 비슷해진다."
    ),
    "update.corrected": (
        "두 평균은 0에서 시작하므로 처음에는 너무 작다. {correction1:과/와} {correction2:으로/로} 나누면 "
        "지금까지의 참된 평균이 된다."
    ),
    "update.ahead": "새 미분을 한 번 더 더하여, 쌓인 합이 데려갈 곳을 미리 내다본다.",
    "update.decay": "{decay} 항은 미분에서 나온 것이 아니다. 단계마다 가중치를 조금씩 줄인다.",
    "trainer.introduction": (
        "수학은 위의 기울기와 갱신 규칙이 전부이다. 학습 프로그램은 그 밖에 너무 긴 기울기를 "
        "줄이고(클리핑), 단계마다 가중치를 줄이고(감쇠), 학습률을 단계마다 바꿀(스케줄) 수 있다. 이것은 "
        "프로그램의 선택 사항이며, 어떤 미분도 이에 의존하지 않는다."
    ),
    "rescaling.definition": "프로그램은 {old} 대신 {new:을/를} 보관한다. 성분마다 곱셈이 한 번 줄어든다.",
    "rescaling.equation": "식 {number}에서 {old:을/를} {new:으로/로} 나타낸 것이다.",
    # a worked example
    "trace.title": ("수치로 따라가는 예: {title}"),
    "trace.introduction": (
        "각 식 아래에 수를 적는다. 먼저 모든 문자를 그 수로 바꾸어 쓰고, 이어서 결과를 쓴다. 수는 유효 숫자 "
        "{digits}자리까지 보이지만 계산은 약 16자리로 한다. 긴 배열은 처음 몇 성분만 풀어 쓰고, "
        "그 뒤에 가운데를 줄인 배열을 적는다. 나온 값은 끝에 모아 적는다."
    ),
    "trace.results": ("계산 결과"),
    "trace.quantity": "양",
    "trace.value": "값",
    "trace.samples": (
        "표본은 {count}개이다. 표본마다 다른 값은 첫 표본에 대해 풀어 쓰고, 이어서 모든 표본의 값을 "
        "늘어놓는다."
    ),
    "trace.drawing": (
        "그림에서 선의 앞쪽에 적은 수는 그 가중치이고, 뒤쪽에 붉게 적은 수는 {loss:을/를} 그 가중치로 미분한 "
        "값이다. 뉴런 위의 수는 뉴런이 내보내는 활성값이고, 아래에 붉게 적은 수는 가중합에 대한 미분이다."
    ),
    "trace.rate": "학습률은 {rate:이다/다}.",
    "trace.frozen": ("이번 갱신에서 {parameters:은/는} 그대로 둔다."),
    "trace.all": "모든 표본: ",
    "trace.after": (
        "갱신 후의 값으로 {forward:을/를} 다시 계산한다. 갱신 전에 {loss:은/는} {before:이었다/였다}."
    ),
    "trace.order": (
        "미분은 갱신 전의 값에서 구한 것이므로, 마지막 미분까지 구한 다음 모든 매개변수를 한꺼번에 "
        "갱신한다. {moved:을/를} 먼저 갱신하면 {result:은/는} 새 값을 읽게 되어, 식 {number}에서 "
        "{right:이/가} 아니라 {wrong:이라는/라는} 틀린 값이 나온다. 그렇게 갱신하면 {loss:은/는} "
        "{after:이/가} 된다. {moved:을/를} 갱신한 뒤에 식들을 처음부터 다시 계산하면 {repeated:이/가} 된다."
    ),
    "rule.after step": ("갱신 후"),
    "rule.order": ("갱신 순서"),
    # an exercise
    "exercise.title": "연습 문제: {title}",
    "exercise.introduction": (
        "우변 {count}개를 비우고 물음표와 빈칸 번호로 표시했다. 스스로 구해 보라. 빈칸 아래에는 규칙과 "
        "도움말이 있고, 풀이는 끝에 있다."
    ),
    "exercise.mark": "빈칸 {number}",
    "exercise.blank": "빈칸 (식)",
    "exercise.solution": "풀이",
    # what a picture shows, for those who do not see it
    "drawing.alike": "{first}~{last}층은 모두 같다",
    "drawing.title": "신경망 {network}",
    "drawing.dense": (
        "왼쪽부터 차례로 늘어선 뉴런의 열: {columns}. 맨 오른쪽은 오차 E이다. 각 뉴런은 다음 열의 모든 "
        "뉴런에 값을 보낸다."
    ),
    "drawing.inputs": "입력 {units}개",
    "drawing.layer": "{activation} 뉴런 {units}개",
    "drawing.graph": "왼쪽부터 늘어선 상자에서, 화살표는 각 양에서 그것을 쓰는 양으로 향한다: {arrows}.",
    "drawing.reads": "{quantity} ← {reads}",
    "drawing.unit": "뉴런 {quantity} ({letters})",
    "drawing.weight": "가중치 {quantity} ({letters}): 뉴런 {source} → 뉴런 {target}",
    "drawing.bias": "편향 {quantity} ({letters}): 뉴런 {unit}",
    "drawing.input": "입력 {quantity}",
    "drawing.target": "목표값 {quantity}",
    "drawing.parameter": "매개변수 {quantity}",
    "drawing.quantity": "양 {quantity}",
    "drawing.output": "출력 {quantity}",
    "drawing.loss": "오차 {quantity}",
    # what a page says beside the derivation
    "notebook.network": "여기서 신경망을 만들고 미분한다. 아래의 모든 식은 이 유도의 한 단계이다.",
    "notebook.heading": "차분과 비교",
    "notebook.check": (
        "임의의 방향으로 움직일 때 E의 변화율은 모든 도함수와 그 방향의 곱을 더한 것이다. "
        "먼저 생성된 코드가 위의 식으로 계산한 값이, 그다음에 E만으로 구한 차분 몫이 나온다."
    ),
    "page.language": "ko",
    "page.choose": (
        "가중치나 뉴런을 마우스로, 또는 Tab과 Enter 키로 고르면, 오차가 그곳까지 거슬러 흐르는 경로가 "
        "밝아지고 그 도함수가 여기에 나타난다."
    ),
    "page.way": "오차가 오는 길의 인수를 모두 쓰면:",
    "page.ways": "오차는 {count}개의 길로 오고 그 값을 모두 더한다. 인수를 모두 쓰면:",
    "page.many_ways": "오차는 {count}개의 길로 오고 그 값을 모두 더한다. 그중 하나를 인수까지 모두 쓰면:",
    "page.all_ways": "오차는 {count}개의 길로 오고 그 값을 모두 더한다.",
    "page.contents": "차례",
    "page.skip": "유도로 건너뛰기",
    "page.copy": "LaTeX로 복사",
    "page.copied": "복사했다",
    "page.fold": "모든 단계 접기",
    "page.unfold": "모든 단계 펼치기",
    "page.probe_heading": "가중치 하나를 움직여 보기",
    "page.probe_introduction": (
        "매개변수의 성분 w 하나를 골라 Δw만큼 움직이고 나머지는 그대로 둔다. E는 순전파 식으로 다시 "
        "계산한다. E를 w로 미분한 값을 g라 하면 E의 변화는 일차 근사로 g·Δw이다. 조금 움직일수록 두 값은 "
        "서로 가깝다."
    ),
    "page.probe_component": "성분",
    "page.probe_change": "움직임",
    # parts of sentences, and words inside formulas
    "list.between": ", ",
    "list.last": ", ",
    "word.if": "({condition}일 때)",
    "word.otherwise": "(그 외)",
    "word.and": "그리고",
    "word.or": "또는",
    "word.not": "¬",
}
